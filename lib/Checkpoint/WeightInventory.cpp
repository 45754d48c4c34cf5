//===- WeightInventory.cpp - The tensors a model consists of --------------===//

#include "lib/Checkpoint/WeightInventory.h"
#include "lib/Checkpoint/Messages.h"
#include "lib/Checkpoint/TensorNames.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"

namespace varve {

llvm::StringRef stringifyWeightComponent(WeightComponent component) {
  switch (component) {
  case WeightComponent::Embedding:
    return "embedding";
  case WeightComponent::Head:
    return "head";
  case WeightComponent::Norm:
    return "norm";
  case WeightComponent::Streams:
    return "streams";
  case WeightComponent::Attention:
    return "attention";
  case WeightComponent::Compressor:
    return "compressor";
  case WeightComponent::Indexer:
    return "indexer";
  case WeightComponent::Router:
    return "router";
  case WeightComponent::RoutedExperts:
    return "routed experts";
  case WeightComponent::SharedExperts:
    return "shared experts";
  case WeightComponent::Draft:
    return "draft";
  }
  llvm_unreachable("unknown component");
}

llvm::StringRef stringifyWeightType(WeightType type) {
  return weightTypeName(type);
}

int64_t WeightSpec::getElements() const {
  int64_t elements = count;
  for (int64_t extent : shape)
    elements *= extent;
  return elements;
}

int64_t WeightSpec::getBytes() const {
  return getElements() * bitsOf(type) / 8;
}

int64_t WeightSpec::getParameters() const {
  bool counts = role != WeightRole::LinearScale &&
                role != WeightRole::ExpertScale &&
                role != WeightRole::RoutingTable;
  return counts ? getElements() : 0;
}

llvm::SmallVector<int64_t, 2> scaleShapeOf(llvm::ArrayRef<int64_t> shape,
                                           WeightType type,
                                           const StorageConfig &storage) {
  if (type == WeightType::F4E2M1)
    return {shape[0],
            int64_t(llvm::divideCeil(shape[1], storage.expertScaleBlock))};
  return {int64_t(llvm::divideCeil(shape[0], storage.scaleBlockRows)),
          int64_t(llvm::divideCeil(shape[1], storage.scaleBlockColumns))};
}

namespace {

using Component = WeightComponent;

/// Appends the tensors of a model; names below the current block.
class SpecBuilder {
public:
  SpecBuilder(const ModelConfig &config, std::vector<WeightSpec> &specs)
      : config(config), storage(config.storage), specs(specs) {}

  void addModel();

private:
  void addLayer(const LayerConfig &layer);
  void addAttention(const LayerConfig &layer);
  void addCompressor(llvm::StringRef name, const LayerConfig &layer,
                     int64_t width, Component component);
  void addExperts(RoutingKind routing);
  void addStreamHead();
  void addMtpBlock();
  void addDsparkStage(int64_t stage);

  void add(llvm::StringRef name, WeightType type, llvm::ArrayRef<int64_t> shape,
           Component component, WeightRole role = WeightRole::Dense,
           int64_t count = 1) {
    WeightSpec &spec = specs.emplace_back();
    spec.name = (prefix + name).str();
    spec.type = type;
    spec.shape.assign(shape.begin(), shape.end());
    spec.count = count;
    spec.role = role;
    spec.component = component;
    spec.draft = draft;
    spec.layer = block;
  }

  /// "name.weight" in the type of embeddings, norms and small projections.
  void addDense(const llvm::Twine &name, llvm::ArrayRef<int64_t> shape,
                Component component) {
    add((name + ".weight").str(), storage.dense, shape, component);
  }

  /// Tensors that are F32 in every checkpoint (specification section 2.5).
  void addWide(const llvm::Twine &name, llvm::ArrayRef<int64_t> shape,
               Component component) {
    add(name.str(), WeightType::F32, shape, component);
  }

  /// "name.weight", and "name.scale" when the stored type has scales.
  void addMatrix(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                 Component component, WeightType type, WeightRole role,
                 int64_t count) {
    add((name + ".weight").str(), type, shape, component, role, count);
    if (type != WeightType::F8E4M3 && type != WeightType::F4E2M1)
      return;
    add((name + ".scale").str(), WeightType::F8E8M0,
        scaleShapeOf(shape, type, storage), component,
        role == WeightRole::Expert ? WeightRole::ExpertScale
                                   : WeightRole::LinearScale,
        count);
  }
  void addLinear(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                 Component component) {
    addMatrix(name, shape, component, storage.linear, WeightRole::Linear, 1);
  }

  const ModelConfig &config;
  const StorageConfig &storage;
  std::vector<WeightSpec> &specs;
  std::string prefix;
  int64_t block = -1;
  bool draft = false;
};

void SpecBuilder::addModel() {
  addDense("embed", {config.vocabSize, config.hiddenSize},
           Component::Embedding);
  addDense("head", {config.vocabSize, config.hiddenSize}, Component::Head);
  addDense("norm", {config.hiddenSize}, Component::Norm);
  addStreamHead();
  for (const auto &[i, layer] : llvm::enumerate(config.layers)) {
    prefix = "layers." + std::to_string(i) + ".";
    block = i;
    addLayer(layer);
  }
  draft = true;
  for (int64_t i = 0; i < config.draft.mtpLayers; ++i) {
    prefix = "mtp." + std::to_string(i) + ".";
    block = i;
    addMtpBlock();
  }
  for (int64_t i = 0; i < config.draft.dsparkStages; ++i) {
    prefix = "mtp." + std::to_string(i) + ".";
    block = i;
    addDsparkStage(i);
  }
}

/// The projection that collapses the streams before a head.
void SpecBuilder::addStreamHead() {
  int64_t hc = config.streams;
  addWide("hc_head_fn", {hc, hc * config.hiddenSize}, Component::Streams);
  addWide("hc_head_base", {hc}, Component::Streams);
  addWide("hc_head_scale", {1}, Component::Streams);
}

void SpecBuilder::addLayer(const LayerConfig &layer) {
  int64_t hc = config.streams;
  // One coefficient a stream to read, one to write, and the mix.
  int64_t coefficients = 2 * hc + hc * hc;
  for (const char *half : {"attn", "ffn"}) {
    addDense(llvm::Twine(half) + "_norm", {config.hiddenSize}, Component::Norm);
    std::string stem = (llvm::Twine("hc_") + half).str();
    addWide(stem + "_fn", {coefficients, hc * config.hiddenSize},
            Component::Streams);
    addWide(stem + "_base", {coefficients}, Component::Streams);
    addWide(stem + "_scale", {3}, Component::Streams);
  }
  addAttention(layer);
  addExperts(layer.routing);
}

void SpecBuilder::addAttention(const LayerConfig &layer) {
  int64_t width = config.numHeads * config.headDim;
  int64_t latent = config.outputGroups * config.outputRank;
  addWide("attn.attn_sink", {config.numHeads}, Component::Attention);
  addLinear("attn.wq_a", {config.queryRank, config.hiddenSize},
            Component::Attention);
  addDense("attn.q_norm", {config.queryRank}, Component::Norm);
  addLinear("attn.wq_b", {width, config.queryRank}, Component::Attention);
  addLinear("attn.wkv", {config.headDim, config.hiddenSize},
            Component::Attention);
  addDense("attn.kv_norm", {config.headDim}, Component::Norm);
  addLinear("attn.wo_a", {latent, width / config.outputGroups},
            Component::Attention);
  addLinear("attn.wo_b", {config.hiddenSize, latent}, Component::Attention);
  if (layer.attention == AttentionKind::Sliding)
    return;
  addCompressor("attn.compressor", layer, config.headDim,
                Component::Compressor);
  if (layer.attention != AttentionKind::CSA)
    return;
  addLinear("attn.indexer.wq_b",
            {config.indexHeads * config.indexHeadDim, config.queryRank},
            Component::Indexer);
  addDense("attn.indexer.weights_proj", {config.indexHeads, config.hiddenSize},
           Component::Indexer);
  addCompressor("attn.indexer.compressor", layer, config.indexHeadDim,
                Component::Indexer);
}

/// Overlapping windows (CSA) take two projections of `width` a token.
void SpecBuilder::addCompressor(llvm::StringRef name, const LayerConfig &layer,
                                int64_t width, Component component) {
  int64_t columns = layer.attention == AttentionKind::CSA ? 2 * width : width;
  addDense(name + ".wkv", {columns, config.hiddenSize}, component);
  addDense(name + ".wgate", {columns, config.hiddenSize}, component);
  addWide(name + ".ape", {layer.ratio, columns}, component);
  addDense(name + ".norm", {width}, component);
}

void SpecBuilder::addExperts(RoutingKind routing) {
  int64_t hidden = config.hiddenSize, inner = config.expertSize;
  addDense("ffn.gate", {config.numExperts, hidden}, Component::Router);
  if (routing == RoutingKind::Hash)
    add("ffn.gate.tid2eid", WeightType::I64,
        {config.vocabSize, config.activeExperts}, Component::Router,
        WeightRole::RoutingTable);
  else
    addWide("ffn.gate.bias", {config.numExperts}, Component::Router);
  int64_t shared = inner * config.numSharedExperts;
  struct Matrix {
    llvm::StringRef name;
    bool down;
  };
  for (Matrix matrix :
       {Matrix{"w1", false}, Matrix{"w3", false}, Matrix{"w2", true}}) {
    auto shapeOf = [&](int64_t size) {
      return matrix.down ? llvm::SmallVector<int64_t, 2>{hidden, size}
                         : llvm::SmallVector<int64_t, 2>{size, hidden};
    };
    addMatrix(("ffn.experts.*." + matrix.name).str(), shapeOf(inner),
              Component::RoutedExperts, storage.experts, WeightRole::Expert,
              config.numExperts);
    if (shared)
      addLinear(("ffn.shared_experts." + matrix.name).str(), shapeOf(shared),
                Component::SharedExperts);
  }
}

/// Specification section 10.1.
void SpecBuilder::addMtpBlock() {
  int64_t hidden = config.hiddenSize;
  addLayer(LayerConfig());
  addLinear("e_proj", {hidden, hidden}, Component::Draft);
  addLinear("h_proj", {hidden, hidden}, Component::Draft);
  for (const char *name : {"enorm", "hnorm", "norm"})
    addDense(name, {hidden}, Component::Draft);
  addStreamHead();
}

/// Specification section 10.2.
void SpecBuilder::addDsparkStage(int64_t stage) {
  int64_t hidden = config.hiddenSize, rank = config.draft.dsparkMarkovRank;
  addLayer(LayerConfig());
  if (stage == 0) {
    int64_t targets = config.draft.dsparkTargetLayers.size();
    addLinear("main_proj", {hidden, targets * hidden}, Component::Draft);
    addDense("main_norm", {hidden}, Component::Draft);
  }
  if (stage + 1 != config.draft.dsparkStages)
    return;
  addDense("norm", {hidden}, Component::Draft);
  addStreamHead();
  addDense("markov_head.markov_w1", {config.vocabSize, rank}, Component::Draft);
  addDense("markov_head.markov_w2", {config.vocabSize, rank}, Component::Draft);
  addDense("confidence_head.proj", {1, hidden + rank}, Component::Draft);
}

/// What the shapes need of the sizes. The readers check more.
llvm::Error checkSizes(const ModelConfig &config) {
  constexpr int64_t mostDraftBlocks = 64;
  auto fail = [&](const llvm::Twine &message) {
    return makeError(config.name.empty() ? "model" : config.name, message);
  };
  struct Size {
    llvm::StringRef name;
    int64_t value;
    int64_t least;
    int64_t most = int64_t(1) << 24;
  };
  const StorageConfig &storage = config.storage;
  for (Size size : {
           Size{"vocabulary size", config.vocabSize, 1},
           {"hidden size", config.hiddenSize, 1},
           {"number of heads", config.numHeads, 1},
           {"head size", config.headDim, 1},
           {"query rank", config.queryRank, 1},
           {"number of output groups", config.outputGroups, 1},
           {"output rank", config.outputRank, 1},
           {"number of index heads", config.indexHeads, 0},
           {"index head size", config.indexHeadDim, 0},
           {"number of experts", config.numExperts, 1},
           {"number of shared experts", config.numSharedExperts, 0},
           {"number of active experts", config.activeExperts, 1},
           {"expert size", config.expertSize, 1},
           {"number of streams", config.streams, 1},
           {"number of MTP blocks", config.draft.mtpLayers, 0, mostDraftBlocks},
           {"number of DSpark stages", config.draft.dsparkStages, 0,
            mostDraftBlocks},
           {"DSpark rank", config.draft.dsparkMarkovRank,
            config.draft.dsparkStages ? 1 : 0},
           {"rows of a scale block", storage.scaleBlockRows, 1},
           {"columns of a scale block", storage.scaleBlockColumns, 1},
           {"columns of an expert scale", storage.expertScaleBlock, 1},
       })
    if (size.value < size.least || size.value > size.most)
      return fail("expected a " + size.name + " from " +
                  llvm::Twine(size.least) + " to " + llvm::Twine(size.most) +
                  " but got " + llvm::Twine(size.value));
  int64_t width = config.numHeads * config.headDim;
  if (width % config.outputGroups)
    return fail("expected heads times head size, " + llvm::Twine(width) +
                ", to be a multiple of the number of output groups, " +
                llvm::Twine(config.outputGroups));
  if (storage.experts == WeightType::F4E2M1 &&
      (config.hiddenSize % 2 || config.expertSize % 2))
    return fail("FP4 experts need even sizes, two elements a byte, but the "
                "hidden size is " +
                llvm::Twine(config.hiddenSize) + " and the expert size " +
                llvm::Twine(config.expertSize));
  if (config.draft.mtpLayers && config.draft.dsparkStages)
    return fail("expected MTP blocks or DSpark stages but got both");
  return llvm::Error::success();
}

} // namespace

llvm::Expected<WeightInventory>
WeightInventory::create(const ModelConfig &config) {
  if (llvm::Error e = checkSizes(config))
    return e;
  WeightInventory inventory;
  SpecBuilder(config, inventory.specs).addModel();
  // The sizes are in range, but their products might not be.
  constexpr int64_t mostBytes = int64_t(1) << 50;
  int64_t bytes = 0;
  for (const auto &[i, spec] : llvm::enumerate(inventory.specs)) {
    std::optional<int64_t> size = spec.count * 8;
    for (int64_t extent : spec.shape)
      size = size ? llvm::checkedMul(*size, extent) : std::nullopt;
    if (!size || *size > mostBytes || (bytes += *size) > mostBytes)
      return makeError(config.name.empty() ? "model" : config.name,
                       "the sizes are absurd: up to " + quotedName(spec.name) +
                           " the weights take more than 2^50 bytes");
    inventory.indexOfName[spec.name] = i;
  }
  return inventory;
}

const WeightSpec *WeightInventory::find(llvm::StringRef name) const {
  auto it = indexOfName.find(name);
  return it == indexOfName.end() ? nullptr : &specs[it->second];
}

WeightTotals WeightInventory::getTotals(
    llvm::function_ref<bool(const WeightSpec &)> filter) const {
  WeightTotals totals;
  for (const WeightSpec &spec : specs) {
    if (filter && !filter(spec))
      continue;
    totals.tensors += spec.count;
    totals.bytes += spec.getBytes();
    totals.parameters += spec.getParameters();
  }
  return totals;
}

} // namespace varve
