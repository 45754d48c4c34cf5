//===- Recorder.cpp - What the interpreter computes, to a folder ----------===//

#include "lib/Check/Recorder.h"
#include "lib/Check/SafetensorsWriter.h"
#include "lib/Check/SeededPools.h"
#include "lib/Interpret/Session.h"
#include "varve/Support/DiagnosedError.h"
#include "varve/Support/Philox.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include <numeric>

using namespace varve;
using llvm::createStringError;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using mlir::varve::ModelAttr;
using Tensors = std::vector<HostTensor>;

namespace {

/// One run of a model over all prompts, flattened.
class Recording {
public:
  Recording(Interpreter &interpreter, const RecordOptions &options,
            ModelAttr model)
      : interpreter(interpreter), options(options), model(model) {}

  Error run(StringRef folder);

private:
  void makeTokens();
  Expected<HostTensor> call(StringRef function, const Tensors &arguments);
  void addRows(StringRef name, const HostTensor &tensor);

  Interpreter &interpreter;
  const RecordOptions &options;
  ModelAttr model;
  std::vector<int32_t> ids, positions, slots;
  SafetensorsWriter writer;
};

} // namespace

/// Token ids from the seed, the same for every precision of a model.
void Recording::makeTokens() {
  for (int64_t b = 0; b < options.batch; ++b)
    for (int64_t p = 0; p < options.prompt; ++p) {
      PhiloxCounter bits =
          philox4x32({static_cast<uint32_t>(p), static_cast<uint32_t>(b), 0, 1},
                     {static_cast<uint32_t>(options.seed),
                      static_cast<uint32_t>(options.seed >> 32)});
      ids.push_back(bits[0] % model.getVocab());
      positions.push_back(options.context + p);
      slots.push_back(b);
    }
}

Expected<HostTensor> Recording::call(StringRef function,
                                     const Tensors &arguments) {
  auto results = interpreter.call(function, arguments);
  if (failed(results))
    return llvm::make_error<DiagnosedError>(("@" + function + " failed").str());
  return results->front();
}

/// A tensor [tokens, ...] as [batch, prompt, ...].
void Recording::addRows(StringRef name, const HostTensor &tensor) {
  llvm::SmallVector<int64_t> shape = {options.batch, options.prompt};
  llvm::append_range(shape, tensor.getShape().drop_front());
  writer.add(name, shape, tensor.floats());
}

Error Recording::run(StringRef folder) {
  makeTokens();
  mlir::MLIRContext &context = *interpreter.getModule().getContext();
  HostTensor idTensor = numbersOf(context, ids);
  HostTensor positionTensor = numbersOf(context, positions);
  HostTensor slotTensor = numbersOf(context, slots);
  for (int64_t b = 0; b < options.batch; ++b) {
    interpreter.getPools().clear(b);
    seedPools(interpreter, b, options.context, options.seed, b);
  }
  writer.add("input_ids", {options.batch, options.prompt},
             std::vector<int64_t>(ids.begin(), ids.end()));
  if (options.context) {
    writer.add("context", {1}, llvm::ArrayRef<int64_t>(options.context));
    writer.add("state_seed", {1},
               llvm::ArrayRef<int64_t>(static_cast<int64_t>(options.seed)));
  }
  Expected<HostTensor> streams = call("embed", {idTensor});
  int64_t layer = 0;
  for (; streams; ++layer) {
    addRows("hidden." + std::to_string(layer), *streams);
    std::string name = "layers." + std::to_string(layer);
    if (!interpreter.getModule().lookupSymbol(name))
      break;
    streams = call(name, {*streams, idTensor, positionTensor, slotTensor});
  }
  if (!streams)
    return streams.takeError();
  std::vector<int32_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  Expected<HostTensor> logits =
      call("head", {*streams, numbersOf(context, std::move(rows))});
  if (!logits)
    return logits.takeError();
  addRows("prefill_logits", *logits);
  llvm::SmallString<256> path(folder);
  llvm::sys::path::append(path, "reference.safetensors");
  return writer.write(path);
}

Error varve::recordReference(Interpreter &interpreter,
                             const RecordOptions &options, StringRef folder) {
  auto model = interpreter.getModule()->getAttrOfType<ModelAttr>(
      mlir::varve::kModelAttrName);
  if (!model || !interpreter.getModule().lookupSymbol("embed") ||
      !interpreter.getModule().lookupSymbol("head"))
    return createStringError(
        "the module is no model: expected attribute 'varve.model' and the "
        "functions @embed, @layers.0 ... and @head");
  int64_t length = options.context + options.prompt;
  if (length > model.getMaxPositions())
    return createStringError(
        llvm::formatv("expected context and prompt within the model's {0} "
                      "positions, got {1} + {2}",
                      model.getMaxPositions(), options.context, options.prompt)
            .str());
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return createStringError(error, "'" + folder + "': " + error.message());
  return Recording(interpreter, options, model).run(folder);
}
