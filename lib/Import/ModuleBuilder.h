//===- ModuleBuilder.h - Shared state of the import ------------*- C++ -*-===//
//
// Private to lib/Import. One builder makes one module; the methods that emit a
// mechanism live in the file named after it.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_IMPORT_MODULEBUILDER_H
#define VARVE_IMPORT_MODULEBUILDER_H

#include "dialects/Varve/Varve.h"
#include "lib/Import/Import.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace varve {

/// Token coordinates that every function of the module takes.
struct Tokens {
  mlir::Value ids, positions, slots;
};

class ModuleBuilder {
public:
  ModuleBuilder(mlir::MLIRContext &context, const ModelConfig &config,
                llvm::StringRef source, StoredTypeFn storedType);

  mlir::OwningOpRef<mlir::ModuleOp> build();

private:
  using Value = mlir::Value;
  using StringRef = llvm::StringRef;

  // ModuleBuilder.cpp: functions and streams.
  void buildEmbed();
  void buildLayer(int64_t layer);
  void buildHead();
  void buildStep();
  mlir::func::FuncOp beginFunction(StringRef name,
                                   llvm::ArrayRef<mlir::Type> inputs,
                                   llvm::ArrayRef<StringRef> inputNames,
                                   mlir::Type result, bool isPublic);
  /// Coefficients of one sub-block and the hidden state that it reads.
  struct SubBlock {
    Value hidden, post, comb;
  };
  SubBlock readStreams(Value streams, StringRef hc);
  Value writeStreams(Value y, Value streams, const SubBlock &block,
                     StringRef hc);

  // AttentionBuilder.cpp
  Value buildAttention(int64_t layer, Value x, const Tokens &tokens);
  Value buildQuery(Value latent, mlir::varve::RopeAttr rope,
                   const Tokens &tokens);
  mlir::FlatSymbolRefAttr buildWindow(Value x, mlir::varve::RopeAttr rope,
                                      const Tokens &tokens);
  /// Compresses `x` to rows of `width` in the pool `pool`; returns its symbol.
  mlir::FlatSymbolRefAttr buildCompressor(StringRef scope, StringRef pool,
                                          int64_t width,
                                          const LayerConfig &layer,
                                          mlir::varve::RopeAttr rope, Value x,
                                          const Tokens &tokens);
  Value buildIndexer(int64_t layer, Value x, Value latent,
                     mlir::varve::RopeAttr rope, const Tokens &tokens);

  // ExpertsBuilder.cpp
  Value buildExperts(int64_t layer, Value x, const Tokens &tokens);
  Value buildSharedExpert(StringRef scope, Value x);
  std::pair<Value, Value> buildRouter(int64_t layer, StringRef scope, Value x,
                                      const Tokens &tokens);
  Value expertProduct(StringRef name, Value x, Value ids, int64_t N, int64_t K);

  // Pieces that all of them use (ModuleBuilder.cpp). Names are relative to the
  // scope of the function being built.
  mlir::Location locate(const llvm::Twine &name);
  std::string qualify(const llvm::Twine &name) const {
    return (prefix + name).str();
  }
  mlir::Type elementType(WeightType type);
  mlir::RankedTensorType tensor(llvm::ArrayRef<int64_t> shape,
                                mlir::Type element = {});
  mlir::RankedTensorType
  rows(llvm::ArrayRef<int64_t> shape); ///< [?, shape...] of f32
  mlir::RankedTensorType numbers();    ///< [?] of i32
  mlir::FloatAttr f64(double value);
  mlir::IntegerAttr i64(int64_t value);
  Value weight(const llvm::Twine &name, llvm::ArrayRef<int64_t> shape,
               WeightType implied);
  /// The weight with its block scales, if it is stored as codes.
  struct ScaledWeight {
    Value codes, scale;
    mlir::DenseI64ArrayAttr block;
  };
  ScaledWeight scaledWeight(const llvm::Twine &name,
                            llvm::ArrayRef<int64_t> shape, WeightType implied);
  Value linear(const llvm::Twine &name, Value x,
               llvm::ArrayRef<int64_t> resultShape, WeightType implied);
  Value rmsNorm(const llvm::Twine &name, Value x, StringRef weightName);
  mlir::varve::RopeAttr ropeAttr(const RopeConfig &rope);
  mlir::FlatSymbolRefAttr pool(const llvm::Twine &name,
                               mlir::varve::PoolKind kind, int64_t sizeOrRatio,
                               int64_t width);

  mlir::MLIRContext &context;
  const ModelConfig &config;
  std::string source;
  StoredTypeFn storedType;
  mlir::OpBuilder b;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// "layers.3." while that layer is built.
  std::string prefix;
};

} // namespace varve

#endif // VARVE_IMPORT_MODULEBUILDER_H
