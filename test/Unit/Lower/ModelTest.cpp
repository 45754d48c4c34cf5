//===- ModelTest.cpp - Whole models beside the reference ------------------===//
//
// Sequences on the interpreter and on the lowered plan: prompts in one piece,
// in chunks, mixed with decode steps of others, and with padding tokens.
//
//===----------------------------------------------------------------------===//

#include "LowerTesting.h"
#include "lib/Checkpoint/CheckpointWeights.h"
#include "lib/Import/Import.h"
#include "lib/Interpret/Session.h"
#include "lib/Model/BuiltinConfigs.h"
#include "lib/Model/HfConfig.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quantize/Passes.h"
#include "gtest/gtest.h"

using namespace varve;
using namespace varve::test;

namespace {

mlir::DialectRegistry makeRegistry() {
  mlir::DialectRegistry registry;
  registerTestDialects(registry);
  return registry;
}

/// A model in both executors.
class Models {
public:
  explicit Models(const std::string &model, const std::string &precision)
      : context(makeRegistry(), mlir::MLIRContext::Threading::DISABLED) {
    load(model);
    mlir::PassManager passes(&context);
    passes.addPass(mlir::varve::createApplyPrecisionPass({precision}));
    if (mlir::failed(passes.run(*source))) {
      ADD_FAILURE() << "the policy does not apply";
      return;
    }
    interpreter.emplace(*source, *weights);
    session.emplace(llvm::cantFail(Session::create(*interpreter)));
    lowered = source->clone();
    if (mlir::failed(lower(*lowered))) {
      ADD_FAILURE() << "the model does not lower";
      return;
    }
    machine = PlanMachine::create(*lowered->getOps<mlir::ModuleOp>().begin(),
                                  *weights);
    for (int i = 0; i < sizes.slots; ++i)
      session->addSequence();
  }

  /// One step of both; compares the logits of all tokens.
  void step(std::vector<Run> runs, Tolerance tolerance) {
    if (!machine)
      return;
    std::vector<StepToken> tokens;
    std::vector<int32_t> ids, positions, slots, starts, ends, rows;
    for (const Run &run : runs) {
      bool isPadding = run.slot < 0;
      int64_t begin = isPadding ? 0 : session->getLength(run.slot);
      for (int64_t i = 0; i < run.count; ++i) {
        int32_t id =
            isPadding
                ? 0
                : static_cast<int32_t>(generator() % session->getVocabSize());
        if (!isPadding) {
          tokens.push_back({run.slot, id, true});
          rows.push_back(static_cast<int32_t>(ids.size()));
        }
        ids.push_back(id);
        positions.push_back(isPadding ? 0 : static_cast<int32_t>(begin + i));
        slots.push_back(run.slot);
        starts.push_back(static_cast<int32_t>(begin));
        ends.push_back(isPadding ? 0
                                 : static_cast<int32_t>(begin + run.count - 1));
      }
    }
    sizes.tokens = static_cast<int64_t>(ids.size());
    sizes.rows = static_cast<int64_t>(rows.size());
    HostTensor expected = llvm::cantFail(session->step(tokens));
    std::map<std::string, Bytes> memories = {
        {"ids", bytesOfNumbers(ids)},
        {"positions", bytesOfNumbers(positions)},
        {"slots", bytesOfNumbers(slots)},
        {"starts", bytesOfNumbers(starts)},
        {"ends", bytesOfNumbers(ends)},
        {"logit_rows", bytesOfNumbers(rows)},
        {"page_table", makePageTable(sizes)}};
    machine->run("step", sizes, memories);
    expectClose(decode(memories["logits"], expected.getElementType(),
                       expected.getShape()),
                expected, tolerance,
                "logits of step " + std::to_string(++numSteps));
  }

  /// Sequences in all the ways in which they can be cut.
  void runAll(Tolerance tolerance) {
    step({{0, 70}}, tolerance);                          // a prompt at once
    step({{0, 1}}, tolerance);                           // a decode step
    step({{1, 33}}, tolerance);                          // a chunk
    step({{0, 1}, {1, 40}, {2, 3}, {-1, 2}}, tolerance); // all at once
    step({{2, 5}, {1, 1}, {0, 1}}, tolerance);
    for (int i = 0; i < 3; ++i)
      step({{0, 1}, {2, 1}, {1, 1}}, tolerance);
  }

private:
  void load(const std::string &model) {
    std::string folder = std::string(VARVE_TEST_DATA) + "/" + model;
    if (model == "tiny") {
      ModelConfig config = llvm::cantFail(loadBuiltinConfig(model));
      RandomWeightsOptions options;
      options.numExperts = config.numExperts;
      options.scaleBlockColumns = config.storage.scaleBlockColumns;
      options.expertScaleBlock = config.storage.expertScaleBlock;
      weights = std::make_unique<RandomWeights>(options);
      source = importModel(context, config, model);
      return;
    }
    ModelConfig config = llvm::cantFail(readHfConfig(folder + "/config.json"));
    auto checkpoint = llvm::cantFail(CheckpointWeights::open(folder, config));
    source = importModel(context, config, model,
                         [&](llvm::StringRef name, WeightType implied) {
                           auto info = checkpoint->lookup(name);
                           if (info)
                             return info->type;
                           llvm::consumeError(info.takeError());
                           return implied;
                         });
    weights = std::move(checkpoint);
  }

  mlir::MLIRContext context;
  std::unique_ptr<WeightSource> weights;
  mlir::OwningOpRef<mlir::ModuleOp> source, lowered;
  std::optional<Interpreter> interpreter;
  std::optional<Session> session;
  std::unique_ptr<PlanMachine> machine;
  PlanSizes sizes;
  std::mt19937 generator{5};
  int numSteps = 0;
};

TEST(ModelTest, FlashTinyInF32) {
  Models("flash-tiny", "f32").runAll({1e-4, 2e-3});
}

TEST(ModelTest, TinyInF32) { Models("tiny", "f32").runAll({1e-4, 2e-3}); }

/// A number that rounds the other way moves what follows by steps of bf16.
TEST(ModelTest, TinyInBf16) { Models("tiny", "bf16").runAll({3e-2, 1e-1}); }

TEST(ModelTest, TinyInNativePrecision) {
  Models("tiny", "native").runAll({2e-1, 5e-1});
}

} // namespace
