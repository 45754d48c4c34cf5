//===- varve.cpp - The compiler driver ------------------------------------===//

#include "lib/Tools/Tool.h"

int main(int argc, char **argv) { return varve::varveMain(argc, argv); }
