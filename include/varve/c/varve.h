/*===- varve.h - Run compiled models ----------------------------*- C -*-===*\
|*                                                                          *|
|* The runtime of Varve for C and whatever can call C. It needs no compiler *|
|* and no GPU toolkit; the NVIDIA driver is loaded if it is there.          *|
|*                                                                          *|
|* A package is a compiled model in a file. A session holds it on a device, *|
|* with weights and with memory for sequences of tokens. A step processes   *|
|* tokens of any sequences and gives logits.                                *|
|*                                                                          *|
|* Every function that can fail takes a `varve_status *`, which may be      *|
|* NULL; its message says what was wrong, where, and what to do. Strings    *|
|* are UTF-8 and end with a zero byte. A session may be used by one thread  *|
|* at a time. No function throws.                                           *|
|*                                                                          *|
\*===--------------------------------------------------------------------===*/
#ifndef VARVE_C_VARVE_H
#define VARVE_C_VARVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Status --------------------------------------------------------------- */

typedef enum varve_code {
  VARVE_OK = 0,
  VARVE_USER_ERROR = 1,     /* a file, a number, an order of calls */
  VARVE_INTERNAL_ERROR = 3, /* a mistake in Varve */
  VARVE_DEVICE_ERROR = 4    /* missing, too old, too small, or failed */
} varve_code;

typedef struct varve_status {
  varve_code code;
  char message[4096]; /* empty if the code is VARVE_OK */
} varve_status;

/* --- Packages ------------------------------------------------------------- */

typedef struct varve_package varve_package;

/* Maps a package and checks that it is whole. NULL on failure. */
varve_package *varve_package_open(const char *path, varve_status *status);
/* May be called while sessions still use the package. NULL does nothing. */
void varve_package_close(varve_package *package);
/* Name of the i-th target ("sm_90a", "x86-64"); NULL behind the last one. */
const char *varve_package_target(const varve_package *package, size_t i);

/* --- Sessions ------------------------------------------------------------- */

typedef struct varve_session varve_session;

/* Called while weights are loaded. */
typedef void (*varve_progress)(void *context, int64_t bytes_done,
                               int64_t bytes_total);

/* What varve_options_default fills in may stay as it is. */
typedef struct varve_options {
  /* A checkpoint's file or folder, "random" or "random:SEED". */
  const char *weights;
  /* "best" (default), "cpu", "cuda" or "cuda:N". */
  const char *device;
  /* A target of the package; NULL (default): the best for the device. */
  const char *target;
  int64_t threads;       /* of a CPU; 0 (default): all cores */
  int64_t max_sequences; /* at the same time; 0: 4 */
  int64_t context;       /* tokens of a sequence; 0: 8192 or the model's */
  int64_t max_tokens;    /* of a step; 0: 512 or the context */
  int64_t max_rows; /* of logits of a step; 0: max_sequences, at least 16 */
  int64_t pages;    /* of all sequences; 0: as many as fill the context */
  varve_progress progress; /* NULL (default): not called */
  void *progress_context;
} varve_options;

void varve_options_default(varve_options *options);

/* Bytes that a session with these options allocates on its device; weights that
   a CPU uses where the file is mapped are counted apart. */
typedef struct varve_memory {
  int64_t weights, pools, scratch, ports, total;
  int64_t mapped_weights;
} varve_memory;

/* Computes the need and allocates nothing. */
varve_code varve_memory_need(const varve_package *package,
                             const varve_options *options, varve_memory *memory,
                             varve_status *status);

/* Loads everything. NULL on failure, with nothing left allocated. */
varve_session *varve_session_create(const varve_package *package,
                                    const varve_options *options,
                                    varve_status *status);
/* NULL does nothing. */
void varve_session_destroy(varve_session *session);

/* "CPU (2 threads, x86-64-v4)"; valid as long as the session. */
const char *varve_session_device(const varve_session *session);
/* Token ids are below this. */
int64_t varve_session_vocabulary(const varve_session *session);
/* Ids that begin and end texts; -1 if the model has none. */
int64_t varve_session_bos(const varve_session *session);
int64_t varve_session_eos(const varve_session *session);
/* Bytes that are allocated on the device now. */
int64_t varve_session_allocated(const varve_session *session);

/* --- Sequences ------------------------------------------------------------ */

/* Adds an empty sequence. Returns its slot, -1 on failure. */
int32_t varve_add(varve_session *session, varve_status *status);
/* Adds a sequence with the tokens of `slot`; both go on independently. Returns
   its slot, -1 on failure. */
int32_t varve_fork(varve_session *session, int32_t slot, varve_status *status);
varve_code varve_drop(varve_session *session, int32_t slot,
                      varve_status *status);
/* Tokens that the sequence has processed; -1 on failure. */
int64_t varve_length(const varve_session *session, int32_t slot,
                     varve_status *status);

typedef struct varve_token {
  int32_t slot;
  int32_t wants_logits; /* 0 or 1 */
  int64_t id;
} varve_token;

/* Processes tokens; those of one sequence are consecutive positions in the
   given order. Writes the logits [rows, vocabulary] of the tokens that want
   them, in order, to `logits`, which has room for `capacity` numbers. On
   failure no sequence has advanced. */
varve_code varve_step(varve_session *session, const varve_token *tokens,
                      size_t count, float *logits, size_t capacity,
                      varve_status *status);

/* A tensor of the caller for a port of a program. */
typedef struct varve_tensor {
  const char *name;
  void *data; /* read for inputs, written for outputs */
  size_t bytes;
} varve_tensor;

/* Runs a program of the package other than the step ("layers.3"). Tokens of a
   sequence follow each other. */
varve_code varve_run_program(varve_session *session, const char *program,
                             const varve_token *tokens, size_t count,
                             const varve_tensor *tensors, size_t tensor_count,
                             varve_status *status);

/* --- Sampling ------------------------------------------------------------- */

/* The likeliest token for temperature 0; otherwise sample number `index` of
   `seed` from the likeliest tokens whose mass reaches `top_p`. Returns -1 for
   parameters out of range. */
int32_t varve_sample(const float *logits, size_t vocabulary, double temperature,
                     double top_p, uint64_t seed, uint64_t index);

#ifdef __cplusplus
}
#endif

#endif /* VARVE_C_VARVE_H */
