//===- ExploreTesting.h - Queries in tests ---------------------*- C++ -*-===//
#ifndef VARVE_TEST_UNIT_EXPLORE_EXPLORETESTING_H
#define VARVE_TEST_UNIT_EXPLORE_EXPLORETESTING_H

#include "lib/Explore/Explorer.h"
#include "lib/Model/BuiltinConfigs.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "gtest/gtest.h"

namespace varve {

/// A built-in configuration, or a module of configs/baselines.
inline llvm::Expected<BaseModel> loadTestBase(llvm::StringRef name) {
  BaseModel base;
  base.name = base.source = name.str();
  for (const Baseline &baseline : getBaselines())
    if (baseline.name == name) {
      base.text = baseline.text.str();
      return base;
    }
  llvm::Expected<ModelConfig> config = loadBuiltinConfig(name);
  if (!config)
    return config.takeError();
  base.config = std::move(*config);
  base.precision = "native";
  return base;
}

class ExploreFixture : public testing::Test {
protected:
  ExploreFixture() {
    context.loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::tensor::TensorDialect>();
  }

  static Query ask(std::vector<std::string> models,
                   std::vector<int64_t> contexts = {1 << 20}) {
    Query query;
    query.models = std::move(models);
    query.contexts = std::move(contexts);
    query.batches = {1};
    query.targets = {"h200"};
    return query;
  }

  ExploreResult run(const Query &query, bool keepOps = false) {
    auto result = explore(context, query, loadTestBase, keepOps);
    if (!result) {
      ADD_FAILURE() << llvm::toString(result.takeError());
      return {};
    }
    return std::move(*result);
  }

  std::string errorOf(const Query &query) {
    auto result = explore(context, query, loadTestBase, false);
    return result ? "none" : llvm::toString(result.takeError());
  }

  mlir::MLIRContext context;
};

} // namespace varve

#endif // VARVE_TEST_UNIT_EXPLORE_EXPLORETESTING_H
