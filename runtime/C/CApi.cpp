//===- CApi.cpp - The runtime for C ---------------------------------------===//

#include "runtime/Error.h"
#include "runtime/Session/Session.h"
#include "varve/Support/Sampling.h"
#include "varve/c/varve.h"
#include <algorithm>
#include <cstring>

using namespace varve::runtime;

struct varve_package {
  std::shared_ptr<const Package> package;
};

struct varve_session {
  std::unique_ptr<Session> session;
  std::string device;
};

namespace {

void setStatus(varve_status *status, varve_code code, const char *message) {
  if (!status)
    return;
  status->code = code;
  size_t size = std::min(std::strlen(message), sizeof(status->message) - 1);
  std::memcpy(status->message, message, size);
  status->message[size] = '\0';
}

/// Runs `body` and turns whatever it throws into a status.
template <typename Body> varve_code guarded(varve_status *status, Body body) {
  varve_code code = VARVE_INTERNAL_ERROR;
  try {
    body();
    setStatus(status, VARVE_OK, "");
    return VARVE_OK;
  } catch (const Error &error) {
    code = error.getCode() == ErrorCode::Device     ? VARVE_DEVICE_ERROR
           : error.getCode() == ErrorCode::Internal ? VARVE_INTERNAL_ERROR
                                                    : VARVE_USER_ERROR;
    setStatus(status, code, error.what());
  } catch (const std::bad_alloc &) {
    code = VARVE_DEVICE_ERROR;
    setStatus(status, code, "the host has too little memory");
  } catch (const std::exception &error) {
    setStatus(status, code, error.what());
  } catch (...) {
    setStatus(status, code, "unknown exception");
  }
  return code;
}

const char *orDefault(const char *text, const char *otherwise) {
  return text ? text : otherwise;
}

PlannedModel planModel(const varve_package *package,
                       const varve_options *options) {
  if (!package || !options)
    fail("expected a package and options, got NULL");
  if (!options->weights)
    fail("expected weights: a checkpoint's folder, 'random' or 'random:SEED'");
  if (options->threads < 0 || options->threads > 4096)
    fail("expected 0 to 4096 threads, got {}", options->threads);
  std::shared_ptr<Device> device =
      openDevice(orDefault(options->device, "best"), package->package.get(),
                 static_cast<unsigned>(options->threads));
  Plan plan =
      choosePlan(*package->package, *device, orDefault(options->target, ""));
  Capacity capacity{options->max_sequences, options->context,
                    options->max_tokens, options->max_rows, options->pages};
  return PlannedModel(package->package, std::move(plan), std::move(device),
                      options->weights, capacity);
}

std::vector<StepToken> tokensOf(const varve_token *tokens, size_t count) {
  if (!tokens && count)
    fail("expected tokens, got NULL");
  std::vector<StepToken> result;
  for (size_t i = 0; i < count; ++i)
    result.push_back(
        {tokens[i].slot, tokens[i].id, tokens[i].wants_logits != 0});
  return result;
}

Session &sessionOf(varve_session *session) {
  if (!session)
    fail("expected a session, got NULL");
  return *session->session;
}

const ModelInfo &modelOf(const varve_session *session) {
  return session->session->getModel().getPlan().model;
}

} // namespace

extern "C" {

varve_package *varve_package_open(const char *path, varve_status *status) {
  varve_package *result = nullptr;
  guarded(status, [&] {
    if (!path)
      fail("expected the path of a package, got NULL");
    result = new varve_package{Package::open(path)};
  });
  return result;
}

void varve_package_close(varve_package *package) { delete package; }

const char *varve_package_target(const varve_package *package, size_t i) {
  const std::vector<std::string> &targets = package->package->getTargets();
  return i < targets.size() ? targets[i].c_str() : nullptr;
}

void varve_options_default(varve_options *options) {
  *options = {};
  options->device = "best";
}

varve_code varve_memory_need(const varve_package *package,
                             const varve_options *options, varve_memory *memory,
                             varve_status *status) {
  return guarded(status, [&] {
    if (!memory)
      fail("expected a place for the result, got NULL");
    PlannedModel planned = planModel(package, options);
    const MemoryLayout &layout = planned.getLayout();
    *memory = {layout.weightBytes, layout.poolBytes,  layout.scratchBytes,
               layout.portBytes,   layout.getTotal(), layout.mappedBytes};
  });
}

varve_session *varve_session_create(const varve_package *package,
                                    const varve_options *options,
                                    varve_status *status) {
  varve_session *result = nullptr;
  guarded(status, [&] {
    PlannedModel planned = planModel(package, options);
    Progress progress;
    if (options->progress)
      progress = [options](int64_t done, int64_t total) {
        options->progress(options->progress_context, done, total);
      };
    auto model = std::make_shared<Model>(std::move(planned), progress);
    std::string device = model->getDevice().describe();
    result = new varve_session{std::make_unique<Session>(std::move(model)),
                               std::move(device)};
  });
  return result;
}

void varve_session_destroy(varve_session *session) { delete session; }

const char *varve_session_device(const varve_session *session) {
  return session->device.c_str();
}

int64_t varve_session_vocabulary(const varve_session *session) {
  return modelOf(session).vocab;
}

int64_t varve_session_bos(const varve_session *session) {
  return modelOf(session).bos;
}

int64_t varve_session_eos(const varve_session *session) {
  return modelOf(session).eos;
}

int64_t varve_session_allocated(const varve_session *session) {
  return session->session->getModel().getDevice().getAllocated();
}

int32_t varve_add(varve_session *session, varve_status *status) {
  int32_t slot = -1;
  guarded(status, [&] { slot = sessionOf(session).add(); });
  return slot;
}

int32_t varve_fork(varve_session *session, int32_t slot, varve_status *status) {
  int32_t copy = -1;
  guarded(status, [&] { copy = sessionOf(session).fork(slot); });
  return copy;
}

varve_code varve_drop(varve_session *session, int32_t slot,
                      varve_status *status) {
  return guarded(status, [&] { sessionOf(session).drop(slot); });
}

int64_t varve_length(const varve_session *session, int32_t slot,
                     varve_status *status) {
  int64_t length = -1;
  guarded(status, [&] {
    if (!session)
      fail("expected a session, got NULL");
    length = session->session->getLength(slot);
  });
  return length;
}

varve_code varve_step(varve_session *session, const varve_token *tokens,
                      size_t count, float *logits, size_t capacity,
                      varve_status *status) {
  return guarded(status, [&] {
    std::vector<StepToken> step = tokensOf(tokens, count);
    Session &target = sessionOf(session);
    size_t needed = std::count_if(step.begin(), step.end(),
                                  [](const StepToken &token) {
                                    return token.wantsLogits;
                                  }) *
                    target.getVocabSize();
    if (needed > capacity || (needed && !logits))
      fail("expected room for {} logits, got {}", needed,
           logits ? capacity : 0);
    std::vector<float> result;
    target.step(step, result);
    std::copy(result.begin(), result.end(), logits);
  });
}

varve_code varve_run_program(varve_session *session, const char *program,
                             const varve_token *tokens, size_t count,
                             const varve_tensor *tensors, size_t tensor_count,
                             varve_status *status) {
  return guarded(status, [&] {
    if (!program || (!tensors && tensor_count))
      fail("expected a program and tensors, got NULL");
    std::vector<PortData> ports;
    for (size_t i = 0; i < tensor_count; ++i) {
      if (!tensors[i].name || (!tensors[i].data && tensors[i].bytes))
        fail("tensor {}: expected a name and data, got NULL", i);
      ports.push_back(
          {tensors[i].name,
           {static_cast<uint8_t *>(tensors[i].data), tensors[i].bytes}});
    }
    sessionOf(session).run(program, tokensOf(tokens, count), ports);
  });
}

int32_t varve_sample(const float *logits, size_t vocabulary, double temperature,
                     double top_p, uint64_t seed, uint64_t index) {
  if (!logits || !vocabulary || !(temperature >= 0) ||
      !std::isfinite(temperature) || !(top_p > 0) || !(top_p <= 1))
    return -1;
  std::span<const float> numbers(logits, vocabulary);
  int32_t id = -1;
  guarded(nullptr, [&] {
    id = temperature == 0
             ? varve::sampleGreedy(numbers)
             : varve::sampleTopP(numbers, temperature, top_p,
                                 varve::uniformSample(seed, index));
  });
  return id;
}

} // extern "C"
