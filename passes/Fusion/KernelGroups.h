//===- KernelGroups.h - Ops on their way to kernels ------------*- C++ -*-===//
//
// The compute ops of a block, partitioned into groups that will be kernels.
// Groups depend on each other through values and pools; joining two must not
// make a cycle.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PASSES_FUSION_KERNELGROUPS_H
#define VARVE_PASSES_FUSION_KERNELGROUPS_H

#include "dialects/Varve/Varve.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::varve {

/// What the ops of a group have in common: the mechanism that decides how they
/// run.
enum class KernelKind {
  Rows,
  Linear,
  Experts,
  Attention,
  Index,
  Compress,
  Streams,
  Commit,
  Take,
  Sample
};

StringRef stringifyKernelKind(KernelKind kind);

/// The kind of an op that is alone.
KernelKind getKernelKind(Operation *op);

/// Whether an op needs a kernel: those that compute, not weights or pools.
bool isComputeOp(Operation *op);

class KernelGroups {
public:
  using Group = unsigned;

  explicit KernelGroups(Block &block);

  Group getGroup(Operation *op) const { return groups.lookup(op); }
  KernelKind getKind(Group group) const { return kinds[group]; }
  /// In textual order.
  ArrayRef<Operation *> getOps(Group group) const { return members[group]; }
  /// All ops, in textual order.
  ArrayRef<Operation *> getOps() const { return ops; }
  bool isAlone(Operation *op) const { return getOps(getGroup(op)).size() == 1; }

  /// An op of a third group that lies between two groups, so that they cannot
  /// be one; null if there is none.
  Operation *findBetween(Group a, Group b) const;

  /// Makes `b` part of `a`.
  void join(Group a, Group b, KernelKind kind);

  /// Replaces the ops by kernels, each as early as its dependencies allow.
  void formKernels();

private:
  Block &block;
  SmallVector<Operation *> ops;
  DenseMap<Operation *, unsigned> numbers;
  /// Per op, the ops that must run before it.
  SmallVector<SmallVector<unsigned>> dependencies;
  DenseMap<Operation *, Group> groups;
  SmallVector<KernelKind> kinds;
  SmallVector<SmallVector<Operation *>> members;
};

} // namespace mlir::varve

#endif // VARVE_PASSES_FUSION_KERNELGROUPS_H
