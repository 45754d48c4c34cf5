//===- PlanTypes.td - Memory as the host sees it -----------*- tablegen -*-===//
#ifndef PLAN_TYPES
#define PLAN_TYPES

include "dialects/Plan/PlanAttrs.td"
include "mlir/IR/AttrTypeBase.td"

def Plan_DeviceTensorType : TypeDef<Plan_Dialect, "DeviceTensor"> {
  let mnemonic = "tensor";
  let summary = "memory of the device with a type";
  let description = [{
    Sizes, an element type, and strides in elements. Without strides the tensor
    is row-major and dense.

    C1: the rank is from 1 to 6.
    C2: no size has a negative coefficient.
    C3: the element type is one that a `!tile.view` may have.
    C4: there are no strides or one per dimension, none negative.
    C5: a tensor of 4-bit elements has an even last size that is a constant;
        with strides, the last one is 1 and the others are even.

    ```mlir
    !plan.tensor<tokens x 4 x 4096 x bf16>
    !plan.tensor<[128 slots + max_tokens] x 512 x f32>
    !plan.tensor<[64 pages] x 448 x f8E4M3FN, strides = [584, 1]>
    ```
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::varve::plan::LinearAttr">:$shape,
    "::mlir::Type":$elementType,
    ArrayRefParameter<"int64_t">:$strides);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    TypeBuilderWithInferredContext<(ins
        "::llvm::ArrayRef<::mlir::varve::plan::LinearAttr>":$shape,
        "::mlir::Type":$elementType,
        CArg<"::llvm::ArrayRef<int64_t>", "{}">:$strides), [{
      return $_get(elementType.getContext(), shape, elementType, strides);
    }]>
  ];
  let extraClassDeclaration = [{
    int64_t getRank() const { return getShape().size(); }
    bool isDense() const { return getStrides().empty(); }
    /// Whether all sizes are constants.
    bool hasStaticShape() const;

    /// The distance in elements between neighbours along a dimension; null if
    /// it is not linear or does not fit 64 bits.
    LinearAttr getStride(unsigned dim) const;
    /// Bytes from the first to behind the last element; null if that is not
    /// linear (two sizes that are not constants in a dense tensor) or does not
    /// fit 64 bits.
    LinearAttr getSizeInBytes() const;
  }];
}

#endif // PLAN_TYPES
