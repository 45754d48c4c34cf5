//===- TargetModelReader.cpp - Target files to models ----------*- C++ -*-===//
//
// Strict: a key that is missing, unknown or of the wrong kind is an error that
// names its path, so a misspelt fact cannot pass as an absent one.
//
//===----------------------------------------------------------------------===//
#include "lib/Target/Model/TargetModel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace llvm;
using namespace varve;

namespace {
/// One JSON object whose keys are all accounted for. The first error wins;
/// getters return zero values after it.
class ObjectReader {
public:
  ObjectReader(const json::Object &object, std::string path, std::string &error)
      : object(object), path(std::move(path)), error(error) {}

  void fail(StringRef key, const Twine &message) {
    if (error.empty())
      error = (path + (path.empty() ? "" : ".") + key + ": " + message).str();
  }

  const json::Value *find(StringRef key, bool required) {
    known.push_back(key);
    const json::Value *value = object.get(key);
    if (!value && required)
      fail(key, "missing");
    return value;
  }

  std::string string(StringRef key) {
    const json::Value *value = find(key, true);
    if (!value)
      return {};
    std::optional<StringRef> text = value->getAsString();
    if (!text || text->empty())
      return fail(key, "expected a non-empty string"), std::string();
    return text->str();
  }

  bool boolean(StringRef key) {
    const json::Value *value = find(key, true);
    if (value && !value->getAsBoolean())
      fail(key, "expected true or false");
    return value && value->getAsBoolean().value_or(false);
  }

  std::optional<double> number(StringRef key, bool required) {
    const json::Value *value = find(key, required);
    if (!value)
      return std::nullopt;
    std::optional<double> n = value->getAsNumber();
    if (!n || !(*n > 0) || !std::isfinite(*n))
      return fail(key, "expected a positive number"), std::nullopt;
    return n;
  }
  double required(StringRef key) { return number(key, true).value_or(0); }

  uint32_t count(StringRef key) {
    double n = required(key);
    if (n != std::floor(n) || n > 4294967295.0)
      return fail(key, "expected a whole number below 2^32"), 0;
    return static_cast<uint32_t>(n);
  }

  const json::Array *array(StringRef key) {
    const json::Value *value = find(key, true);
    if (value && !value->getAsArray())
      fail(key, "expected an array");
    return value ? value->getAsArray() : nullptr;
  }

  /// Calls `body` with the object at `key`, then checks its keys.
  void nested(StringRef key, bool required,
              function_ref<void(ObjectReader &)> body) {
    const json::Value *value = find(key, required);
    if (value)
      element(*value, key, body);
  }
  void element(const json::Value &value, const Twine &key,
               function_ref<void(ObjectReader &)> body) {
    std::string name = key.str();
    const json::Object *child = value.getAsObject();
    if (!child)
      return fail(name, "expected an object");
    ObjectReader reader(*child, path.empty() ? name : path + "." + name, error);
    body(reader);
    reader.finish();
  }

  /// Every key of the object, for maps from names.
  void forEach(function_ref<void(StringRef, const json::Value &)> body) {
    for (auto &[key, value] : object) {
      known.push_back(key);
      body(key, value);
    }
  }

  void finish() {
    for (auto &[key, value] : object)
      if (!is_contained(known, StringRef(key)))
        return fail(key, "unknown key");
  }

private:
  const json::Object &object;
  std::string path;
  std::string &error;
  SmallVector<StringRef, 24> known;
};

std::optional<NumericType> parseNumericType(StringRef name) {
  for (unsigned i = 0; i < kNumNumericTypes; ++i)
    if (getNumericTypeName(static_cast<NumericType>(i)) == name)
      return static_cast<NumericType>(i);
  return std::nullopt;
}

std::optional<MatrixEngine> parseMatrixEngine(StringRef name) {
  for (MatrixEngine engine :
       {MatrixEngine::Fma, MatrixEngine::MmaSync, MatrixEngine::MmaBlockScale,
        MatrixEngine::Wgmma, MatrixEngine::Tcgen05})
    if (getMatrixEngineName(engine) == name)
      return engine;
  return std::nullopt;
}

std::optional<Feature> parseFeature(StringRef name) {
  for (unsigned i = 0; i < kNumFeatures; ++i)
    if (getFeatureName(static_cast<Feature>(i)) == name)
      return static_cast<Feature>(i);
  return std::nullopt;
}

using Rates = std::array<std::optional<double>, kNumNumericTypes>;

void readRates(ObjectReader &reader, Rates &rates) {
  reader.forEach([&](StringRef key, const json::Value &) {
    if (std::optional<NumericType> type = parseNumericType(key))
      rates[static_cast<unsigned>(*type)] = reader.number(key, true);
    else
      reader.fail(key, "unknown element type");
  });
}
} // namespace

namespace varve {
/// Fills the private fields of a TargetModel.
class TargetModelReader {
public:
  static void read(ObjectReader &r, TargetModel &model) {
    model.name = r.string("name");
    model.summary = r.string("summary");
    model.llvmCpu = r.string("llvm_cpu");
    std::string kind = r.string("kind");
    if (kind != "nvidia" && kind != "x86")
      r.fail("kind", "expected \"nvidia\" or \"x86\", got \"" + kind + "\"");
    model.kind = kind == "nvidia" ? TargetKind::Nvidia : TargetKind::X86;
    if (model.isGpu())
      readPtx(r, model);
    r.nested("limits", true, [&](ObjectReader &l) { readLimits(l, model); });
    r.string("limits_source");
    readFeatures(r, model);
    r.string("features_source");
    r.nested("dot", true, [&](ObjectReader &d) { readDot(d, model); });
    readDevices(r, model);
  }

private:
  static void readPtx(ObjectReader &r, TargetModel &model) {
    const json::Array *cc = r.array("compute_capability");
    if (!cc || cc->size() != 2 || !(*cc)[0].getAsUINT64() ||
        !(*cc)[1].getAsUINT64())
      return r.fail("compute_capability", "expected [major, minor]");
    model.ccMajor = static_cast<unsigned>(*(*cc)[0].getAsUINT64());
    model.ccMinor = static_cast<unsigned>(*(*cc)[1].getAsUINT64());
    model.archSpecific = r.boolean("arch_specific");
    model.ptxVersion = r.count("ptx_version");
    r.string("ptx_reason");
  }

  static void readLimits(ObjectReader &r, TargetModel &model) {
    TargetLimits &l = model.limits;
    if (!model.isGpu()) {
      l.vectorBits = r.count("vector_bits");
      return;
    }
    l.registersPerSM = r.count("registers_per_sm");
    l.maxRegistersPerThread = r.count("max_registers_per_thread");
    l.registerAllocationUnit = r.count("register_allocation_unit");
    l.sharedBytesPerSM = r.count("shared_bytes_per_sm");
    l.sharedBytesPerBlock = r.count("shared_bytes_per_block");
    l.staticSharedBytesPerBlock = r.count("static_shared_bytes_per_block");
    l.reservedSharedBytesPerBlock = r.count("reserved_shared_bytes_per_block");
    l.warpsPerSM = r.count("warps_per_sm");
    l.blocksPerSM = r.count("blocks_per_sm");
    l.threadsPerBlock = r.count("threads_per_block");
    l.threadsPerWarp = r.count("threads_per_warp");
    l.blocksPerCluster = r.count("blocks_per_cluster");
  }

  static void readFeatures(ObjectReader &r, TargetModel &model) {
    const json::Array *names = r.array("features");
    if (!names)
      return;
    for (const json::Value &value : *names) {
      StringRef name = value.getAsString().value_or("");
      std::optional<Feature> feature = parseFeature(name);
      if (!feature)
        return r.fail("features", "unknown feature \"" + name + "\"");
      if (getFeaturePtxVersion(*feature) > model.ptxVersion)
        return r.fail("features", "\"" + name + "\" needs PTX version " +
                                      Twine(getFeaturePtxVersion(*feature)) +
                                      " but ptx_version is " +
                                      Twine(model.ptxVersion));
      model.features.set(static_cast<unsigned>(*feature));
    }
  }

  static void readDot(ObjectReader &r, TargetModel &model) {
    r.forEach([&](StringRef key, const json::Value &value) {
      std::optional<NumericType> type = parseNumericType(key);
      const json::Array *engines = value.getAsArray();
      if (!type || !engines)
        return r.fail(key, "expected an element type with a list of engines");
      for (const json::Value &name : *engines) {
        auto engine = parseMatrixEngine(name.getAsString().value_or(""));
        if (!engine)
          return r.fail(key, "unknown matrix engine");
        model.dotEngines[static_cast<unsigned>(*type)].push_back(*engine);
      }
    });
  }

  static void readDevices(ObjectReader &r, TargetModel &model) {
    const json::Array *list = r.array("devices");
    if (!list)
      return;
    for (auto [index, value] : enumerate(*list))
      r.element(value, "devices[" + Twine(index) + "]", [&](ObjectReader &d) {
        readDevice(d, model.devices.emplace_back());
      });
  }

  static void readDevice(ObjectReader &d, DeviceModel &device) {
    device.name = d.string("name");
    device.multiprocessors = d.count("multiprocessors");
    device.memoryBytes =
        static_cast<uint64_t>(d.required("memory_gib") * (uint64_t(1) << 30));
    device.l2Bytes = static_cast<uint64_t>(d.required("l2_mib") * (1 << 20));
    device.bandwidthGBps = d.required("bandwidth_gbps");
    d.nested("peak_tflops", true,
             [&](ObjectReader &p) { readRates(p, device.peakTflops); });
    device.source = d.string("source");
    d.nested("measured", false, [&](ObjectReader &m) {
      device.measured.copyGBps = m.number("copy_gbps", false);
      device.measured.readGBps = m.number("read_gbps", false);
      m.nested("tflops", true,
               [&](ObjectReader &t) { readRates(t, device.measured.tflops); });
      device.measured.source = m.string("source");
    });
    d.nested("launch", true, [&](ObjectReader &l) {
      device.launch.stream = l.required("stream_us");
      device.launch.graph = l.required("graph_us");
      device.launch.dependent = l.required("dependent_us");
      device.launch.source = l.string("source");
    });
  }
};
} // namespace varve

Expected<TargetModel> TargetModel::parse(StringRef text, StringRef origin) {
  auto failed = [&](const Twine &message) {
    return createStringError("target file " + origin + ": " + message);
  };
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return failed(toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object)
    return failed("expected an object");
  TargetModel model;
  std::string error;
  ObjectReader reader(*object, "", error);
  TargetModelReader::read(reader, model);
  reader.finish();
  if (!error.empty())
    return failed(error);
  return model;
}
