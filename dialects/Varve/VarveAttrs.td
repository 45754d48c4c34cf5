//===- VarveAttrs.td - Attributes of the model dialect -----*- tablegen -*-===//
#ifndef VARVE_ATTRS
#define VARVE_ATTRS

include "dialects/Varve/VarveDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Varve_Attr<string name, string mnemonicText, list<Trait> traits = []>
    : AttrDef<Varve_Dialect, name, traits> {
  let mnemonic = mnemonicText;
}

//===----------------------------------------------------------------------===//
// Enumerations
//===----------------------------------------------------------------------===//

def Varve_PoolKind : I32EnumAttr<"PoolKind", "what the rows of a pool are", [
    I32EnumAttrCase<"Window", 0, "window">,
    I32EnumAttrCase<"Entries", 1, "entries">,
    I32EnumAttrCase<"State", 2, "state">]> {
  let cppNamespace = "::mlir::varve";
}

def Varve_Rounding : I32EnumAttr<"Rounding", "where an op rounds", [
    I32EnumAttrCase<"Once", 0, "once">,
    I32EnumAttrCase<"EachStep", 1, "each_step">]> {
  let cppNamespace = "::mlir::varve";
  let description = [{
    `once`: intermediates are f32, the result is rounded to its element type.
    `each_step`: every intermediate that the op's description marks is rounded
    to the result's element type as well.
  }];
}

def Varve_Scoring : I32EnumAttr<"Scoring", "router score of a logit", [
    I32EnumAttrCase<"SqrtSoftplus", 0, "sqrt_softplus">,
    I32EnumAttrCase<"Sigmoid", 1, "sigmoid">,
    I32EnumAttrCase<"Softmax", 2, "softmax">]> {
  let cppNamespace = "::mlir::varve";
}

def Varve_SelectScore : I32EnumAttr<"SelectScore", "what makes a row worth keeping", [
    I32EnumAttrCase<"Position", 0, "position">,
    I32EnumAttrCase<"Attention", 1, "attention">,
    I32EnumAttrCase<"Key", 2, "key">]> {
  let cppNamespace = "::mlir::varve";
  let description = [{
    `position`: the newer, the better, which is sliding eviction and needs no
    score. `attention`: the sum of the probabilities that the row has received.
    `key`: a function of the row alone, of one multiply-add per element, as
    methods that predict attention from norms and phases of keys use it.
  }];
}

//===----------------------------------------------------------------------===//
// Pool formats
//===----------------------------------------------------------------------===//

def Varve_SegmentAttr : Varve_Attr<"Segment", "segment"> {
  let summary = "a run of a pool row's elements with one storage type";
  let description = [{
    `448 x f8E4M3FN scaled 64 x f8E8M0FNU` stores 448 elements as E4M3 codes
    with one E8M0 scale per 64; `64 x bf16` stores 64 elements as they are.

    * C1: the element count is positive and at most 2^24.
    * C2: a low-precision type (f8E4M3FN, f4E2M1FN) has a scale type (f8E8M0FNU,
        f32) and a positive block; f32, bf16 and f16 have neither.
    * C3: the block divides the element count.
  }];
  let parameters = (ins
    "int64_t":$size,
    "::mlir::Type":$elementType,
    DefaultValuedParameter<"int64_t", "0">:$block,
    DefaultValuedParameter<"::mlir::Type", "::mlir::Type()">:$scaleType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Scales of one row; 0 when the segment is unscaled.
    int64_t getNumScales() const { return getBlock() ? getSize() / getBlock() : 0; }
    /// Bits of the row's codes, without scales.
    int64_t getCodeBits() const;
  }];
}

def Varve_FormatAttr : Varve_Attr<"Format", "format"> {
  let summary = "how a pool stores a row";
  let description = [{
    Segments in row order. The width of a row is the sum of the segment sizes.
    A value appended to a pool is rounded to this format; what a reader sees is
    the rounded value.

    Storage of one row: the codes of all segments in order, then the scales of
    all segments, padded to a multiple of four bytes. The released models'
    compressed entry, `<448 x f8E4M3FN scaled 64 x f8E8M0FNU, 64 x bf16>`, takes
    448 + 128 + 8 = 584 bytes.

    * C1: at least one segment, at most 16.
    * C2: the codes of each segment fill whole bytes.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::varve::SegmentAttr">:$segments);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Elements of a row.
    int64_t getWidth() const;
    /// Bytes of a row's codes, scales excluded.
    int64_t getCodeBytes() const;
    /// Bytes of a row's scales, padded to a multiple of four.
    int64_t getScaleBytes() const;
    /// Bytes of a row.
    int64_t getRowBytes() const { return getCodeBytes() + getScaleBytes(); }
    /// A format of one unscaled segment.
    static FormatAttr getPlain(::mlir::Type elementType, int64_t width);
  }];
}

def Varve_SelectAttr : Varve_Attr<"Select", "select"> {
  let summary = "which rows of a pool are kept";
  let description = [{
    Of a sequence's rows at most the `keep` best are kept, and readers see no
    others. Scores other than `position` are f32 numbers beside the rows. A
    score by `key` is computed anew for all kept rows every `every` tokens.

    Post-hoc methods are described by it so that their costs add to those of a
    mix. No executor selects: models that are to be run have no such pools.

    * C1: `keep` and `every` are positive i32 numbers.
  }];
  let parameters = (ins "int64_t":$keep,
                        EnumParameter<Varve_SelectScore>:$score,
                        DefaultValuedParameter<"int64_t", "1">:$every);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes of a row's score.
    int64_t getScoreBytes() const {
      return getScore() == SelectScore::Position ? 0 : 4;
    }
  }];
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

def Varve_YarnAttr : Varve_Attr<"Yarn", "yarn"> {
  let summary = "YaRN interpolation of rotary frequencies";
  let description = [{
    With base theta, r rotary dimensions and f_i = theta^(-2i/r):
    `f_i <- (f_i / factor) ramp_i + f_i (1 - ramp_i)`,
    `ramp_i = clamp((i - lo) / (hi - lo), 0, 1)`,
    `lo = floor(c(beta_fast))`, `hi = ceil(c(beta_slow))`,
    `c(b) = r ln(original / (2 pi b)) / (2 ln theta)`, both clamped to [0, r-1].

    * C1: factor >= 1, beta_fast >= beta_slow > 0, all finite; original is a
        positive i32 number.
  }];
  let parameters = (ins "::mlir::FloatAttr":$factor, "::mlir::FloatAttr":$beta_fast,
                        "::mlir::FloatAttr":$beta_slow, "int64_t":$original);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

def Varve_RopeAttr : Varve_Attr<"Rope", "rope"> {
  let summary = "a rotary frequency table";
  let description = [{
    Base `theta`, `dim` rotary dimensions, optionally interpolated by YaRN. No
    magnitude correction is applied.

    * C1: theta > 1 and finite, dim is even and positive.
  }];
  let parameters = (ins "::mlir::FloatAttr":$theta, "int64_t":$dim,
                        OptionalParameter<"::mlir::varve::YarnAttr">:$yarn);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Module
//===----------------------------------------------------------------------===//

def Varve_ModelAttr : Varve_Attr<"Model", "model"> {
  let summary = "what a caller of the step function must know";
  let description = [{
    Attached to the module as `varve.model`. `layers` is the mix as a layer
    pattern (S sliding, C compressed sparse, H heavily compressed); token ids
    are below `vocab`, positions below `max_positions`; `bos` and `eos` are -1
    where the model has none.

    * C1: vocab and max_positions are positive i32 numbers; bos and eos are below
        vocab.
  }];
  let parameters = (ins
    StringRefParameter<>:$name, StringRefParameter<>:$layers,
    "int64_t":$vocab, "int64_t":$max_positions,
    DefaultValuedParameter<"int64_t", "-1">:$bos,
    DefaultValuedParameter<"int64_t", "-1">:$eos);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Scheduling
//===----------------------------------------------------------------------===//

def Varve_StrategyAttr : Varve_Attr<"Strategy", "strategy"> {
  let summary = "how a kernel is lowered for a range of T";
  let description = [{
    For steps of `min` to `max` tokens (0: no upper bound). A block of threads
    works on `rows` rows, `columns` columns and, where it sums, `depth` at a
    time; each kind of kernel says what its rows and columns are. `split` blocks
    share a sum, `stages` is the length of the pipeline that feeds it (1: none),
    `warps` the number of warps that compute. `engine` is the `#tile.strategy`
    of the kernel's tile functions.

    * C1: `min`, `rows`, `columns`, `depth`, `split` and `stages` are positive;
        `max` is 0 or at least `min`; `warps` is a power of two up to 32.
  }];
  let parameters = (ins
    DefaultValuedParameter<"int64_t", "1">:$min,
    DefaultValuedParameter<"int64_t", "0">:$max,
    DefaultValuedParameter<"int64_t", "1">:$rows,
    DefaultValuedParameter<"int64_t", "1">:$columns,
    DefaultValuedParameter<"int64_t", "1">:$depth,
    DefaultValuedParameter<"int64_t", "1">:$split,
    DefaultValuedParameter<"int64_t", "1">:$stages,
    DefaultValuedParameter<"int64_t", "4">:$warps,
    OptionalParameter<"::mlir::Attribute">:$engine);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // VARVE_ATTRS
