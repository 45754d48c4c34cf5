//===- WeightSource.cpp - Weights by name, decoded row by row -------------===//

#include "lib/Checkpoint/WeightSource.h"

namespace varve {

WeightTensor::~WeightTensor() = default;
WeightSource::~WeightSource() = default;

} // namespace varve
