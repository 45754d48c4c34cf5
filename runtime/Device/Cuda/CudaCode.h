//===- CudaCode.h - Kernels on an NVIDIA GPU -------------------*- C++ -*-===//
#ifndef VARVE_RUNTIME_DEVICE_CUDA_CUDACODE_H
#define VARVE_RUNTIME_DEVICE_CUDA_CUDACODE_H

#include "runtime/Device/Cuda/Resources.h"
#include "runtime/Device/Device.h"

namespace varve::runtime::cuda {

/// What code needs of its device, which outlives it.
struct CudaContext {
  const Driver *driver = nullptr;
  Context context = nullptr;
  Stream stream = nullptr;
  int multiprocessors = 0;
  int sharedBytes = 0; ///< most that a block can have
  std::string name;

  /// To be called in front of everything that uses the driver.
  void makeCurrent() const {
    driver->check(driver->contextSetCurrent(context), "cuCtxSetCurrent");
  }
};

class CudaCode final : public Code {
public:
  CudaCode(const CudaContext &context, const Plan &plan,
           const std::vector<Bytes> &files);
  ~CudaCode() override;

  int64_t getResidentBlocks(uint32_t kernel) override;
  std::unique_ptr<Batch> prepare(std::vector<PreparedLaunch> launches,
                                 Use use) override;

private:
  friend class CudaBatch;
  OwnedModule loadModule(const KernelFile &file, Bytes bytes) const;
  void loadKernel(const Kernel &kernel);

  const CudaContext &context;
  std::vector<Kernel> kernels;
  std::vector<OwnedModule> modules;
  std::vector<Function> functions;
  std::vector<int64_t> residentBlocks;
};

} // namespace varve::runtime::cuda

#endif // VARVE_RUNTIME_DEVICE_CUDA_CUDACODE_H
