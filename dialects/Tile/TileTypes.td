//===- TileTypes.td - Types of the kernel dialect ----------*- tablegen -*-===//
#ifndef TILE_TYPES
#define TILE_TYPES

include "dialects/Tile/TileDialect.td"
include "mlir/IR/AttrTypeBase.td"

class Tile_Type<string name, string typeMnemonic>
    : TypeDef<Tile_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Tile_ViewType : Tile_Type<"View", "view"> {
  let summary = "a window of global memory";
  let description = [{
    An element type, a shape with static and run-time (`?`) sizes, and strides
    in elements. Without strides the view is row-major and dense: its strides
    follow from its sizes. With strides, `?` is one that is known at run time.

    Distinct views of a function's arguments do not share a byte that the
    function writes.

    C1: the rank is from 1 to 6, sizes are not negative.
    C2: there are no strides or one per dimension, none negative.
    C3: the element type is i8, i16, i32, i64, bf16, f16, f32, f64, f8E4M3FN,
        f8E5M2, f8E8M0FNU or f4E2M1FN.
    C4: a view of 4-bit elements has stride 1 in its last dimension and even
        static strides elsewhere (run-time ones must be even); dense ones have
        an even last size.

    ```mlir
    !tile.view<?x4096xbf16>
    !tile.view<?x4096xbf16, strides = [?, 1]>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape,
                        "::mlir::Type":$elementType,
                        ArrayRefParameter<"int64_t">:$strides);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    TypeBuilderWithInferredContext<(ins "::llvm::ArrayRef<int64_t>":$shape,
        "::mlir::Type":$elementType,
        CArg<"::llvm::ArrayRef<int64_t>", "{}">:$strides), [{
      return $_get(elementType.getContext(), shape, elementType, strides);
    }]>
  ];
  let extraClassDeclaration = [{
    int64_t getRank() const { return getShape().size(); }
    bool isDynamicDim(unsigned dim) const {
      return ::mlir::ShapedType::isDynamic(getShape()[dim]);
    }
    /// Run-time sizes and strides, in the order in which they are passed:
    /// sizes first.
    int64_t getNumDynamicSizes() const;
    int64_t getNumDynamicStrides() const;
    bool isDense() const { return getStrides().empty(); }
  }];
}

def Tile_BufferType : Tile_Type<"Buffer", "buffer"> {
  let summary = "shared memory of a block";
  let description = [{
    A tile's worth of shared memory. Its contents change; its shape, element
    type and placement (`#tile.shared`, plain row-major when absent) do not.

    C1: the rank is from 1 to 4, sizes are positive and static.
    C2: the element type is one that a view may have.
    C3: a swizzle needs whole panels.
  }];
  let parameters = (ins ArrayRefParameter<"int64_t">:$shape,
                        "::mlir::Type":$elementType,
                        "::mlir::varve::tile::SharedLayoutAttr":$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [
    TypeBuilderWithInferredContext<(ins "::llvm::ArrayRef<int64_t>":$shape,
        "::mlir::Type":$elementType,
        CArg<"::mlir::varve::tile::SharedLayoutAttr", "{}">:$layout), [{
      return $_get(elementType.getContext(), shape, elementType, layout);
    }]>
  ];
  let extraClassDeclaration = [{
    int64_t getRank() const { return getShape().size(); }
    /// Bytes of shared memory.
    int64_t getSizeInBytes() const;
  }];
}

def Tile_RingType : Tile_Type<"Ring", "ring"> {
  let summary = "stages of shared buffers between two or more roles";
  let description = [{
    `stages` copies of the same set of buffers, filled by one role and read by
    others in turn.

    C1: there is at least one stage and at most 64.
    C2: there is at least one buffer.
  }];
  let parameters = (ins "int64_t":$stages,
                        ArrayRefParameter<"::mlir::varve::tile::BufferType">:$buffers);
  let assemblyFormat = "`<` $stages `,` custom<Buffers>($buffers) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Bytes of shared memory of one stage.
    int64_t getStageSizeInBytes() const;
  }];
}

def Tile_SlotType : Tile_Type<"Slot", "slot"> {
  let summary = "the right to use one stage of a ring";
  let description = [{
    Given by `tile.acquire` or `tile.receive`, taken back by `tile.commit` or
    `tile.release`.
  }];
}

def Tile_TokenType : Tile_Type<"Token", "token"> {
  let summary = "an asynchronous copy under way";
}

#endif // TILE_TYPES
