//===- VarveOps.td - The model dialect's ops ---------------*- tablegen -*-===//
//
// One file per mechanism; inside a file, ops in the order of data flow.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_OPS
#define VARVE_OPS

include "dialects/Varve/VarveStateOps.td"
include "dialects/Varve/VarveStreamOps.td"
include "dialects/Varve/VarveLinearOps.td"
include "dialects/Varve/VarveAttentionOps.td"
include "dialects/Varve/VarveExpertOps.td"
include "dialects/Varve/VarveKernelOps.td"

#endif // VARVE_OPS
