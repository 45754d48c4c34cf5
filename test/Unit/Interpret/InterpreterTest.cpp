//===- InterpreterTest.cpp - Functions, weights, hooks, refusals ----------===//

#include "lib/Interpret/Session.h"
#include "test/Unit/Interpret/InterpreterTesting.h"

using namespace varve;
using namespace varve::test;
using testing::HasSubstr;

namespace {

TEST(Interpreter, CallsFunctionsInPlace) {
  Program program(R"mlir(
    func.func private @twice(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %0 = varve.hadamard %x : tensor<?x2xf32>
      %1 = varve.hadamard %0 : tensor<?x2xf32>
      return %1 : tensor<?x2xf32>
    }
    func.func @f(%x: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
      %0 = func.call @twice(%x) : (tensor<?x2xf32>) -> tensor<?x2xf32>
      %1 = func.call @twice(%0) : (tensor<?x2xf32>) -> tensor<?x2xf32>
      return %0, %1 : tensor<?x2xf32>, tensor<?x2xf32>
    })mlir");
  auto results = program.call("f", {program.floats({1, 2}, {1, 3})});
  ASSERT_EQ(results.size(), 2u);
  expectNear(results[0].floats(), {1.0, 3.0});
  expectNear(results[1].floats(), {1.0, 3.0});
}

TEST(Interpreter, LetsAHookSeeAndReplaceNamedValues) {
  Program program(R"mlir(
    func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %0 = varve.hadamard %x : tensor<?x2xf32> loc("first")
      %1 = varve.hadamard %0 : tensor<?x2xf32> loc("second")
      return %1 : tensor<?x2xf32>
    })mlir");
  std::vector<std::string> names;
  program.interpreter->setHook(
      [&](llvm::StringRef name, unsigned result, HostTensor &value) {
        names.push_back(name.str() + "#" + std::to_string(result));
        if (name == "first")
          value = program.floats({1, 2}, {5, 0});
      });
  auto results = program.call("f", {program.floats({1, 2}, {1, 3})});
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(names, (std::vector<std::string>{"first#0", "second#0"}));
  expectNear(results[0].floats(), {5 / std::sqrt(2.0), 5 / std::sqrt(2.0)});
}

TEST(Interpreter, ReportsAWeightThatTheSourceDoesNotHave) {
  Program program(R"mlir(
    func.func @f(%ids: tensor<?xi32>) -> tensor<?x2xf32> {
      %w = varve.weight "embed.weight" : tensor<3x2xf32>
      %x = varve.embed %ids, %w
          : (tensor<?xi32>, tensor<3x2xf32>) -> tensor<?x2xf32>
      return %x : tensor<?x2xf32>
    })mlir");
  EXPECT_EQ(program.errorOf("f", {program.numbers({0})}),
            "no tensor 'embed.weight'\n");
  // The failure is not remembered.
  program.weights.add("embed.weight", {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(floatsOf(program.call("f", {program.numbers({0})})[0]),
            (std::vector<float>{1, 2}));
}

TEST(Interpreter, ReportsAnOpWithoutSemantics) {
  Program program(R"mlir(
    func.func @f(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %0 = builtin.unrealized_conversion_cast %x
          : tensor<?x2xf32> to tensor<?x2xf32>
      return %0 : tensor<?x2xf32>
    })mlir");
  EXPECT_EQ(program.errorOf("f", {program.floats({1, 2}, {1, 3})}),
            "'builtin.unrealized_conversion_cast' op has no reference "
            "semantics\n");
}

TEST(Interpreter, ReportsFunctionsThatItCannotExecute) {
  Program program(R"mlir(
    func.func private @outside(tensor<?x2xf32>) -> tensor<?x2xf32>
    func.func @endless(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %0 = func.call @middle(%x) : (tensor<?x2xf32>) -> tensor<?x2xf32>
      return %0 : tensor<?x2xf32>
    }
    func.func @middle(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      %0 = func.call @endless(%x) : (tensor<?x2xf32>) -> tensor<?x2xf32>
      return %0 : tensor<?x2xf32>
    }
    func.func @fine(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
      return %x : tensor<?x2xf32>
    })mlir");
  HostTensor x = program.floats({1, 2}, {1, 3});
  EXPECT_EQ(program.errorOf("nowhere", {x}),
            "expected a function @nowhere with a body\n");
  EXPECT_EQ(program.errorOf("outside", {x}),
            "expected a function @outside with a body\n");
  EXPECT_EQ(program.errorOf("endless", {x}),
            "expected @endless not to call itself\n");
  // An abandoned call leaves nothing behind.
  EXPECT_EQ(program.errorOf("middle", {x}),
            "expected @middle not to call itself\n");
  EXPECT_EQ(floatsOf(program.call("fine", {x})[0]), (std::vector<float>{1, 3}));
}

TEST(Interpreter, ReportsOperandsOfDifferentNumbersOfRows) {
  Program program(R"mlir(
    varve.pool @pool window size 4 : <1 x f32>
    func.func @f(%rows: tensor<?x1xf32>, %positions: tensor<?xi32>,
                 %slots: tensor<?xi32>) {
      varve.append %rows to @pool at(%positions, %slots)
          : tensor<?x1xf32>, tensor<?xi32>, tensor<?xi32>
      return
    }
    func.func @g(%x: tensor<?x2xf32>, %ids: tensor<?x1xi32>)
        -> tensor<?x1x2xf32> {
      %w = varve.weight "experts.*.w" : tensor<3x2x2xf32>
      %y = varve.experts %x, %ids, %w
          : (tensor<?x2xf32>, tensor<?x1xi32>, tensor<3x2x2xf32>)
          -> tensor<?x1x2xf32>
      return %y : tensor<?x1x2xf32>
    })mlir");
  EXPECT_EQ(program.errorOf("f", {program.floats({2, 1}, {1, 2}),
                                  program.numbers({0}), program.numbers({0})}),
            "'varve.append' op expected operands of equally many rows but got "
            "2 (operand 0) and 1 (operand 1)\n");
  program.weights.add("experts.*.w", randomFloats(12, 1));
  EXPECT_EQ(program.errorOf("g", {program.floats({1, 2}, {1, 2}),
                                  program.numbers({2, 1}, {0, 1})}),
            "'varve.experts' op expected operands of equally many rows but got "
            "1 (operand 0) and 2 (operand 1)\n");
  // The weight's three rows are not the tokens'.
  EXPECT_EQ(program
                .call("g", {program.floats({1, 2}, {1, 2}),
                            program.numbers({1, 1}, {2})})
                .size(),
            1u);
}

TEST(Session, NeedsAModelAndAStep) {
  Program none("func.func private @step()");
  llvm::Expected<Session> session = Session::create(*none.interpreter);
  ASSERT_FALSE(static_cast<bool>(session));
  EXPECT_THAT(llvm::toString(session.takeError()),
              HasSubstr("expected the module to have the attribute "
                        "'varve.model'"));
  Program stepless(R"mlir(
    module attributes {varve.model = #varve.model<name = "m", layers = "S",
                       vocab = 4, max_positions = 8>} {})mlir");
  session = Session::create(*stepless.interpreter);
  ASSERT_FALSE(static_cast<bool>(session));
  EXPECT_EQ(llvm::toString(session.takeError()),
            "expected the module to have a function @step");
}

} // namespace
