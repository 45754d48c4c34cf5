//===- AttachLineDirectives.cpp - Layer names for profilers ----*- C++ -*-===//
//
// varve-attach-line-directives. LLVM keeps files and lines, not names, so the
// name of a location becomes a file. The emission kind "directives only" gives
// `.file` and `.loc` and nothing else: any other kind marks the module as
// debug code, and the assembler would stop optimising it.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Target/Passes.h"
#include "llvm/BinaryFormat/Dwarf.h"

namespace mlir::varve {
#define GEN_PASS_DEF_ATTACHLINEDIRECTIVESPASS
#include "passes/Target/Passes.h.inc"
} // namespace mlir::varve

using namespace mlir;

namespace {
/// A name with a position beneath it.
struct Place {
  StringAttr name;
  unsigned line = 1;
  unsigned column = 1;

  explicit operator bool() const { return static_cast<bool>(name); }
};

/// The outermost name in `loc`: the one that a model's layer was given, not
/// what passes may have added beneath. Of fused locations the first with a
/// name counts.
Place findPlace(Location loc) {
  if (auto named = dyn_cast<NameLoc>(loc)) {
    Place place{named.getName()};
    if (auto file = named.getChildLoc()->findInstanceOf<FileLineColLoc>()) {
      place.line = std::max(file.getLine(), 1u);
      place.column = std::max(file.getColumn(), 1u);
    }
    return place;
  }
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      if (Place place = findPlace(part))
        return place;
  }
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return findPlace(call.getCallee());
  return {};
}

struct AttachLineDirectives
    : mlir::varve::impl::AttachLineDirectivesPassBase<AttachLineDirectives> {
  using Base::Base;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>())
      if (!function.isExternal())
        attach(function);
  }

private:
  /// The first place in the function, its own if it has one.
  static Place findAnyPlace(LLVM::LLVMFuncOp function) {
    Place place = findPlace(function.getLoc());
    if (!place)
      function.walk([&](Operation *op) {
        place = findPlace(op->getLoc());
        return place ? WalkResult::interrupt() : WalkResult::advance();
      });
    return place;
  }

  LLVM::DIFileAttr getFile(StringAttr name) {
    return LLVM::DIFileAttr::get(name.getContext(), name.getValue(), "");
  }

  LLVM::DISubprogramAttr describe(LLVM::LLVMFuncOp function, Place place) {
    MLIRContext *context = &getContext();
    LLVM::DIFileAttr file = getFile(place.name);
    if (!unit)
      unit = LLVM::DICompileUnitAttr::get(
          DistinctAttr::create(UnitAttr::get(context)), llvm::dwarf::DW_LANG_C,
          file, StringAttr::get(context, "varve"), /*isOptimized=*/true,
          LLVM::DIEmissionKind::DebugDirectivesOnly);
    auto type = LLVM::DISubroutineTypeAttr::get(context, /*types=*/{});
    auto name = function.getNameAttr();
    return LLVM::DISubprogramAttr::get(
        context, DistinctAttr::create(UnitAttr::get(context)), unit, file, name,
        name, file, place.line, /*scopeLine=*/place.line,
        LLVM::DISubprogramFlags::Definition |
            LLVM::DISubprogramFlags::Optimized,
        type, /*retainedNodes=*/{}, /*annotations=*/{});
  }

  void attach(LLVM::LLVMFuncOp function) {
    Place home = findAnyPlace(function);
    if (!home)
      return;
    LLVM::DISubprogramAttr subprogram = describe(function, home);
    auto locate = [&](Place place) -> Location {
      auto position = FileLineColLoc::get(place.name, place.line, place.column);
      LLVM::DILocalScopeAttr scope = subprogram;
      if (place.name != home.name)
        scope = LLVM::DILexicalBlockFileAttr::get(
            subprogram, getFile(place.name), /*discriminator=*/0);
      return FusedLoc::get(&getContext(), {position}, scope);
    };
    function.walk([&](Operation *op) {
      if (op == function)
        return;
      Place place = findPlace(op->getLoc());
      op->setLoc(locate(place ? place : home));
    });
    function->setLoc(locate(home));
  }

  LLVM::DICompileUnitAttr unit;
};
} // namespace
