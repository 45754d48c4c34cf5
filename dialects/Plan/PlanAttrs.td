//===- PlanAttrs.td - Sizes that a host can evaluate -------*- tablegen -*-===//
#ifndef PLAN_ATTRS
#define PLAN_ATTRS

include "dialects/Plan/PlanDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Plan_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::varve::plan";
}

def Plan_Symbol : Plan_Enum<"Symbol", "a size that the runtime knows", [
  I32EnumAttrCase<"Tokens", 0, "tokens">,
  I32EnumAttrCase<"Rows", 1, "rows">,
  I32EnumAttrCase<"Slots", 2, "slots">,
  I32EnumAttrCase<"Pages", 3, "pages">,
  I32EnumAttrCase<"SequencePages", 4, "sequence_pages">,
  I32EnumAttrCase<"MaxTokens", 5, "max_tokens">
]>;

def Plan_PoolKind : Plan_Enum<"PoolKind", "what the rows of a pool are", [
  I32EnumAttrCase<"Window", 0, "window">,
  I32EnumAttrCase<"Entries", 1, "entries">,
  I32EnumAttrCase<"State", 2, "state">
]>;

def Plan_CodeFormat : Plan_Enum<"CodeFormat", "what compiled code is", [
  I32EnumAttrCase<"Cubin", 0, "cubin">,
  I32EnumAttrCase<"Ptx", 1, "ptx">,
  I32EnumAttrCase<"Object", 2, "object">
]>;

def Plan_LinearAttr : AttrDef<Plan_Dialect, "Linear"> {
  let mnemonic = "linear";
  let summary = "a linear expression over the sizes of a step";
  let description = [{
    A constant plus a multiple of each symbol. Written bare where a size is
    expected: `4096`, `tokens`, or in brackets `[128 slots + max_tokens]`,
    `[584 pages - 136]`.

    `#plan.linear<[2 tokens + 1]>`
  }];
  // The constant, then one coefficient per symbol in the order of the
  // enumeration.
  let parameters = (ins ArrayRefParameter<"int64_t">:$coefficients);
  let hasCustomAssemblyFormat = 1;
  let skipDefaultBuilders = 1;
  let builders = [
    AttrBuilder<(ins "::llvm::ArrayRef<int64_t>":$coefficients), [{
      return $_get($_ctxt, coefficients);
    }]>,
    AttrBuilder<(ins "int64_t":$constant), [{
      int64_t coefficients[7] = {constant};
      return $_get($_ctxt, ::llvm::ArrayRef<int64_t>(coefficients));
    }]>,
    AttrBuilder<(ins "::mlir::varve::plan::Symbol":$symbol,
                     CArg<"int64_t", "1">:$factor), [{
      int64_t coefficients[7] = {};
      coefficients[1 + static_cast<unsigned>(symbol)] = factor;
      return $_get($_ctxt, ::llvm::ArrayRef<int64_t>(coefficients));
    }]>
  ];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Symbols, and numbers of an expression.
    static constexpr unsigned kNumSymbols = 6;
    static constexpr unsigned kNumCoefficients = 1 + kNumSymbols;

    int64_t getConstant() const { return getCoefficients()[0]; }
    int64_t getFactor(Symbol symbol) const {
      return getCoefficients()[1 + static_cast<unsigned>(symbol)];
    }
    /// Whether no symbol occurs.
    bool isConstant() const;
    /// The symbol that the expression consists of, if it is one alone.
    std::optional<Symbol> getSymbol() const;

    /// Sums and multiples; null where a number does not fit 64 bits.
    LinearAttr plus(LinearAttr other) const;
    LinearAttr times(int64_t factor) const;

    /// Whether the value is at most that of `other` for all sizes that a
    /// runtime can have: none is negative, tokens and rows are at most
    /// max_tokens.
    bool isAtMost(LinearAttr other) const;

    /// The value where `symbols` are those of the symbols, in the order of the
    /// enumeration.
    int64_t evaluate(::llvm::ArrayRef<int64_t> symbols) const;
  }];
}

def Plan_TensorMapAttr : AttrDef<Plan_Dialect, "TensorMap"> {
  let mnemonic = "tensor_map";
  let summary = "a view that a kernel copies by tensor map";
  let description = [{
    The host makes a map of view `argument`, all of it, with boxes of `box`
    elements (one per dimension, outermost first) that lie in shared memory with
    `swizzle`.

    C1: `box` has 1 to 5 sizes from 1 to 256.
    C2: `swizzle` is 0, 32, 64 or 128.

    `#plan.tensor_map<argument = 0, box = [64, 64], swizzle = 128>`
  }];
  let parameters = (ins "int64_t":$argument, ArrayRefParameter<"int64_t">:$box,
                        "int64_t":$swizzle);
  let assemblyFormat = [{
    `<` `argument` `=` $argument `,` `box` `=` `[` $box `]` `,`
    `swizzle` `=` $swizzle `>`
  }];
  let genVerifyDecl = 1;
}

#endif // PLAN_ATTRS
