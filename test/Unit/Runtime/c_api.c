/*===- c_api.c - The header, used by a C program ----------------------------===
  Called by CApiTest.cpp with a package and weights for kernels.c. Returns 0, or
  the line of the first expectation that did not hold.
  ===----------------------------------------------------------------------===*/

#include "varve/c/varve.h"
#include <string.h>

#define EXPECT(condition)                                                      \
  do {                                                                         \
    if (!(condition)) {                                                        \
      result = __LINE__;                                                       \
      goto done;                                                               \
    }                                                                          \
  } while (0)

static void count_calls(void *context, int64_t done, int64_t total) {
  if (done <= total)
    ++*(int *)context;
}

int exercise_c_api(const char *path, const char *weights) {
  int result = 0, calls = 0;
  varve_status status;
  varve_options options;
  varve_memory memory;
  varve_session *session = NULL;
  float logits[14];
  varve_token tokens[2] = {{0, 0, 1}, {0, 1, 2}};
  float streams[4] = {1, 2, 3, 4}, doubled[4];
  varve_tensor tensors[2] = {{"streams", streams, sizeof(streams)},
                             {"result", doubled, sizeof(doubled)}};

  varve_package *package = varve_package_open("/no/such", &status);
  EXPECT(!package && status.code == VARVE_USER_ERROR);
  EXPECT(strstr(status.message, "/no/such"));
  package = varve_package_open(path, &status);
  EXPECT(package && status.code == VARVE_OK && !status.message[0]);
  EXPECT(strcmp(varve_package_target(package, 0), "x86-64") == 0);
  EXPECT(!varve_package_target(package, 1));

  varve_options_default(&options);
  EXPECT(!varve_session_create(package, &options, &status));
  EXPECT(strstr(status.message, "expected weights"));
  options.weights = weights;
  options.device = "cpu";
  options.progress = count_calls;
  options.progress_context = &calls;
  EXPECT(varve_memory_need(package, &options, &memory, &status) == VARVE_OK);
  EXPECT(memory.total ==
         memory.weights + memory.pools + memory.scratch + memory.ports);
  session = varve_session_create(package, &options, &status);
  EXPECT(session && calls > 0);
  EXPECT(varve_session_allocated(session) == memory.total);
  EXPECT(strncmp(varve_session_device(session), "CPU", 3) == 0);
  EXPECT(varve_session_vocabulary(session) == 7);
  EXPECT(varve_session_bos(session) == -1 && varve_session_eos(session) == 6);
  /* The session keeps what it needs of the package. */
  varve_package_close(package);
  package = NULL;

  EXPECT(varve_add(session, &status) == 0);
  EXPECT(varve_step(session, tokens, 2, logits, 6, &status) ==
         VARVE_USER_ERROR);
  EXPECT(strstr(status.message, "expected room for 7 logits, got 6"));
  EXPECT(varve_length(session, 0, NULL) == 0);
  EXPECT(varve_step(session, tokens, 2, logits, 14, &status) == VARVE_OK);
  /* Values 2 and 3 in the window. */
  EXPECT(logits[0] == 5 && logits[6] == 35);
  EXPECT(varve_length(session, 0, &status) == 2);
  EXPECT(varve_fork(session, 0, &status) == 1);
  EXPECT(varve_drop(session, 0, &status) == VARVE_OK);
  EXPECT(varve_drop(session, 0, &status) == VARVE_USER_ERROR);
  EXPECT(varve_length(session, 0, &status) == -1);
  tokens[0].slot = tokens[1].slot = 1;
  EXPECT(varve_run_program(session, "layers.0", tokens, 2, tensors, 2,
                           &status) == VARVE_OK);
  EXPECT(doubled[0] == 4 && doubled[3] == 11);

  EXPECT(varve_sample(logits, 7, 0, 1, 0, 0) == 6);
  EXPECT(varve_sample(logits, 7, -1, 1, 0, 0) == -1);
  EXPECT(varve_sample(logits, 7, 1, 1, 3, 0) >= 0);

done:
  varve_package_close(package);
  varve_session_destroy(session);
  return result;
}
