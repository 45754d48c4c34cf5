//===- HfFields.cpp - The names that a config.json may contain ------------===//

#include "lib/Model/HfFields.h"

using namespace llvm;

namespace varve {

static constexpr StringRef topLevel[] = {
    // Sizes.
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "qk_rope_head_dim", "q_lora_rank",
    "o_groups", "o_lora_rank", "sliding_window", "index_n_heads",
    "index_head_dim", "index_topk", "n_routed_experts", "n_shared_experts",
    "num_experts_per_tok", "moe_intermediate_size", "hc_mult",
    "hc_sinkhorn_iters", "max_position_embeddings", "partial_rotary_factor",
    // Other names of the same sizes.
    "num_local_experts", "intermediate_size", "qk_head_dim", "qk_nope_head_dim",
    "v_head_dim",
    // Layers.
    "compress_ratios", "layer_types", "compress_rates", "compress_rate_csa",
    "compress_rate_hca", "num_hash_layers", "mlp_layer_types",
    // Numbers.
    "rms_norm_eps", "hc_eps", "routed_scaling_factor", "swiglu_limit",
    "rope_theta", "compress_rope_theta", "rope_scaling", "rope_parameters",
    // Kinds.
    "model_type", "architectures", "scoring_func", "topk_method",
    "norm_topk_prob", "hidden_act", "attention_bias", "mlp_bias",
    "tie_word_embeddings", "n_group", "topk_group", "first_k_dense_replace",
    "moe_layer_freq", "is_encoder_decoder", "per_layer_config",
    // Storage.
    "dtype", "torch_dtype", "expert_dtype", "quantization_config",
    // Tokens and draft heads.
    "bos_token_id", "eos_token_id", "num_nextn_predict_layers",
    "dspark_block_size", "dspark_noise_token_id", "dspark_target_layer_ids",
    "dspark_markov_rank",

    // From here on: without meaning for inference.
    // Training.
    "attention_dropout", "initializer_range", "output_router_logits",
    "router_aux_loss_coef", "router_jitter_noise", "aux_loss_alpha", "seq_aux",
    "ep_size", "pretraining_tp", "gradient_checkpointing",
    // Every transformers configuration.
    "transformers_version", "use_cache", "pad_token_id", "sep_token_id",
    "cls_token_id", "mask_token_id", "decoder_start_token_id",
    "output_hidden_states", "output_attentions", "return_dict",
    "use_return_dict", "chunk_size_feed_forward", "auto_map", "name_or_path",
    "id2label", "label2id", "num_labels", "problem_type", "finetuning_task",
    "task_specific_params", "tokenizer_class", "prefix", "vocab_file",
    "torchscript", "use_bfloat16", "tf_legacy_loss", "pruned_heads",
    "tie_encoder_decoder", "add_cross_attention", "is_decoder",
    "cross_attention_hidden_size", "attn_implementation",
    "experts_implementation", "distributed_config", "base_model_tp_plan",
    "base_model_pp_plan", "base_model_ep_plan", "base_model_fsdp_plan",
    "ignore_keys_at_rope_validation", "custom_pipelines", "unsloth_version",
    "unsloth_fixed", "default_theta",
    // Generation settings of older transformers.
    "assistant_confidence_threshold", "assistant_lookbehind", "bad_words_ids",
    "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping",
    "encoder_no_repeat_ngram_size", "encoder_repetition_penalty",
    "epsilon_cutoff", "eta_cutoff", "exponential_decay_length_penalty",
    "forced_bos_token_id", "forced_eos_token_id", "length_penalty",
    "max_length", "max_new_tokens", "min_length", "min_new_tokens",
    "no_repeat_ngram_size", "num_assistant_tokens",
    "num_assistant_tokens_schedule", "num_beam_groups", "num_beams",
    "num_return_sequences", "output_scores", "remove_invalid_values",
    "repetition_penalty", "return_dict_in_generate", "suppress_tokens",
    "target_lookbehind", "temperature", "top_k", "top_p", "typical_p"};

static constexpr StringRef rope[] = {
    "type", "rope_type", "rope_theta", "partial_rotary_factor", "factor",
    "beta_fast", "beta_slow", "original_max_position_embeddings",
    "attention_factor", "truncate",
    // Superseded by attention_factor, which must be 1.
    "mscale", "mscale_all_dim"};

static constexpr StringRef quantization[] = {
    "quant_method",       "fmt",
    "activation_scheme",  "scale_fmt",
    "weight_block_size",  "modules_to_not_convert",
    "modules_to_convert", "ignored_layers",
    "dequantize"};

ArrayRef<StringRef> knownTopLevelFields() { return topLevel; }
ArrayRef<StringRef> knownRopeFields() { return rope; }
ArrayRef<StringRef> knownQuantizationFields() { return quantization; }

} // namespace varve
