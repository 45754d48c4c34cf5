//===- LaunchEncoder.h - Functions of a plan as programs -------*- C++ -*-===//
//
// Encodes what a runtime does in a step: ports, storages, conditions, launches.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PACKAGE_LAUNCHENCODER_H
#define VARVE_PACKAGE_LAUNCHENCODER_H

#include "dialects/Plan/Plan.h"
#include "passes/Plan/Conditions.h"
#include "varve/Package/plan_generated.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include <vector>

namespace varve {

/// The numbers by which a plan refers to its parts.
class PlanTables {
public:
  /// The index of a size; sizes are numbered in the order of first use.
  uint32_t getSize(mlir::varve::plan::LinearAttr size);

  llvm::SmallVector<mlir::varve::plan::LinearAttr> sizes;
  /// By name.
  llvm::MapVector<mlir::StringAttr, mlir::varve::plan::WeightOp> weights;
  llvm::DenseMap<mlir::StringAttr, uint32_t> pools;
  llvm::DenseMap<mlir::StringAttr, uint32_t> kernels;

private:
  llvm::DenseMap<mlir::varve::plan::LinearAttr, uint32_t> sizeNumbers;
};

/// The element type as the plan numbers it.
package::ElementType encodeElementType(mlir::Type type);

/// Encodes one public function.
class LaunchEncoder {
public:
  LaunchEncoder(flatbuffers::FlatBufferBuilder &builder, PlanTables &tables,
                mlir::varve::plan::FuncOp func)
      : builder(builder), tables(tables), func(func) {}

  /// Errors are diagnostics.
  mlir::FailureOr<flatbuffers::Offset<package::Program>> run();

private:
  using Word = package::Word;

  mlir::LogicalResult
  encodeLaunch(mlir::varve::plan::LaunchOp launch,
               std::vector<flatbuffers::Offset<package::Launch>> &launches);
  Word encodeSize(mlir::varve::plan::LinearAttr size);
  Word encodeAddress(mlir::Value tensor);
  mlir::FailureOr<Word> encodeScalar(mlir::Value scalar);
  flatbuffers::Offset<package::MappedView> encodeMap(mlir::Value tensor);
  uint32_t encodeCondition(mlir::Operation *op);
  std::vector<flatbuffers::Offset<package::Port>> encodePorts();
  mlir::FailureOr<std::vector<flatbuffers::Offset<package::Storage>>>
  encodeStorages();

  flatbuffers::FlatBufferBuilder &builder;
  PlanTables &tables;
  mlir::varve::plan::FuncOp func;
  llvm::SmallVector<mlir::varve::plan::Condition> conditions;
  /// Allocs, numbered in the order of the text.
  llvm::DenseMap<mlir::Operation *, uint32_t> pieces;
};

} // namespace varve

#endif // VARVE_PACKAGE_LAUNCHENCODER_H
