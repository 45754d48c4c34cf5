//===- varve-run.cpp - Run compiled models, without the compiler ----------===//

#include "runtime/Tool/Commands.h"
#include <CLI/CLI.hpp>
#include <unistd.h>

using namespace varve::runtime;

namespace {

void addTarget(CLI::App &command, RunTarget &target, bool runs) {
  command.add_option("PACKAGE", target.path, "a .varve file")->required();
  command.add_option("--max-sequences", target.maxSequences,
                     "sequences at the same time");
  command.add_option("--context", target.context, "tokens of a sequence");
  command.add_option("--max-tokens", target.maxTokens, "tokens of a step");
  command.add_option("--max-rows", target.maxRows, "logits of a step, in rows");
  command.add_option("--pages", target.pages,
                     "pages of compressed entries of all sequences together");
  command.add_option("--share-experts", target.expertSets,
                     "the routed experts of so many layers serve all layers");
  if (!runs)
    return;
  command.add_flag("!--no-graphs", target.graphs,
                   "launch kernels one by one, do not replay graphs");
  command.add_flag("--in-order", target.inOrder,
                   "in graphs, one kernel at a time");
  command.add_option("--device", target.device,
                     "best (default), cpu, cuda or cuda:N");
  command.add_option("--target", target.target,
                     "a target of the package (default: the best for the "
                     "device)");
  command.add_option("--weights", target.weights,
                     "a checkpoint's folder, random or random:SEED");
  command.add_option("--threads", target.threads,
                     "threads of the CPU (default: all cores)");
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Runs models that varve compiled", "varve-run");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("varve-run " VARVE_VERSION));

  RunOptions run;
  CLI::App *runApp = app.add_subcommand("run", "Generate tokens");
  addTarget(*runApp, run, true);
  runApp->add_option("--prompt-ids", run.promptIds,
                     "the prompt's token ids, separated by commas");
  runApp->add_option("--max-new", run.maxNew, "tokens to generate (16)");
  runApp->add_option("--chunk", run.chunk, "prompt tokens in a step");
  runApp->add_option("--temperature", run.temperature,
                     "0 (default) takes the likeliest token");
  runApp->add_option("--top-p", run.topP,
                     "sample from the likeliest tokens of this mass");
  runApp->add_option("--seed", run.seed, "of the samples");

  CheckOptions check;
  CLI::App *checkApp = app.add_subcommand(
      "check", "Compare with the reference.safetensors of a folder");
  addTarget(*checkApp, check, true);
  checkApp
      ->add_option("FOLDER", check.folder,
                   "with reference.safetensors and, without --weights, "
                   "the checkpoint")
      ->required();
  checkApp->add_option("--chunk", check.chunk,
                       "prefill in steps of so many tokens a sequence");
  checkApp->add_flag("--mixed", check.mixed,
                     "run every sequence twice, the second time later");
  checkApp->add_flag("--layers", check.layersAlone,
                     "each layer alone from its stored input");
  checkApp->add_option("--repeat", check.repeat,
                       "with --layers: every sequence this often, side by "
                       "side (default 1)");
  checkApp->add_option("--rms", check.rms, "bound on the relative RMS");
  checkApp->add_option("--max", check.max, "bound on the largest difference");
  checkApp->add_flag("--json", check.json, "print JSON");

  BenchOptions bench;
  CLI::App *benchApp = app.add_subcommand("bench", "Measure steps and kernels");
  addTarget(*benchApp, bench, true);
  benchApp
      ->add_option("--decode", bench.decode, "sequences of a decode step (1)")
      ->delimiter(',');
  benchApp
      ->add_option("--prefill", bench.prefill, "tokens of a prefill step (512)")
      ->delimiter(',');
  benchApp
      ->add_option("--contexts", bench.contexts,
                   "tokens that the sequences have before (0)")
      ->delimiter(',');
  benchApp->add_option("--prompt", bench.prompt,
                       "also process a prompt of so many tokens, then "
                       "generate");
  benchApp->add_option("--new", bench.generated,
                       "tokens to generate behind --prompt (64)");
  benchApp->add_option("--repeat", bench.repetitions,
                       "measurements, of which the median is taken (20)");
  benchApp->add_flag("--kernels", bench.kernels, "the time of every kernel");
  benchApp->add_option("--format", bench.format, "md (default), csv or json");
  benchApp->add_option("-o", bench.output, "a file (default: standard output)");

  InspectOptions inspect;
  CLI::App *inspectApp = app.add_subcommand(
      "inspect", "What is in a package, and the memory it needs");
  addTarget(*inspectApp, inspect, false);
  inspectApp->add_flag("--json", inspect.json, "print JSON");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // Help and version are no errors.
    constexpr int usageError = 2;
    return app.exit(error) == 0 ? 0 : usageError;
  }
  if (*runApp)
    return runCommand(run);
  if (*checkApp)
    return checkCommand(check);
  if (*benchApp) {
    // Who asks for steps of one sort wants no others.
    if (benchApp->count("--decode") && !benchApp->count("--prefill"))
      bench.prefill.clear();
    if (benchApp->count("--prefill") && !benchApp->count("--decode"))
      bench.decode.clear();
    return benchCommand(bench);
  }
  return inspectCommand(inspect);
}
