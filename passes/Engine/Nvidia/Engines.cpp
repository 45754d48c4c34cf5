//===- Engines.cpp - Which implementation a function gets -----------------===//

#include "passes/Engine/Nvidia/Engines.h"

#include "lib/Target/Model/TargetModel.h"
#include "passes/Engine/Nvidia/Passes.h"

using namespace mlir;
using namespace mlir::varve;
using namespace mlir::varve::nvidia;

std::unique_ptr<DotLowering>
mlir::varve::nvidia::createDotLowering(Attribute layout) {
  if (isa_and_present<tile::BlockedLayoutAttr>(layout))
    return createFmaDot();
  if (isa_and_present<tile::MmaLayoutAttr>(layout))
    return createMmaDot();
  if (isa_and_present<tile::WgmmaLayoutAttr>(layout))
    return createWgmmaDot();
  return nullptr;
}

std::unique_ptr<CopyLowering>
mlir::varve::nvidia::createCopyLowering(const ::varve::TargetModel &target) {
  if (target.supports(::varve::Feature::CpAsync))
    return createAsyncCopy();
  return createPlainCopy();
}

std::unique_ptr<PipelineLowering>
mlir::varve::nvidia::createPipelineLowering(const ::varve::TargetModel &target,
                                            tile::FuncOp function) {
  // A pipeline whose roles have been merged stays so.
  bool hasRoles = function
                      .walk([](tile::PipelineOp pipeline) {
                        return pipeline.getRoles().size() > 1
                                   ? WalkResult::interrupt()
                                   : WalkResult::advance();
                      })
                      .wasInterrupted();
  if (hasRoles && hasWarpSpecialisation(target))
    return createWarpSpecialised();
  return createMergedPipeline();
}
