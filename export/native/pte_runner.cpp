// Runs a .pte without Python and torch: on this host, on ARM64 under an emulator, and on a phone.
// Built by export/native/build.py from this file and the C++ SDK inside ExecuTorch's wheel alone.
//
//   pte_runner MODEL [--threads N]
//       Tiles. Standard input is any number of LR tiles, one after another with nothing between them;
//       standard output is the SR tile of each, in the same order, written as soon as it is computed.
//       A tile is raw float32 in the machine's (little-endian) order, shaped (1,3,H,W) as the file
//       says, values in [0,1]. Input may end after any whole tile; within one it is an error.
//   pte_runner MODEL --bench [--warmup N] [--runs N] [--threads N] [--etdump FILE]
//       One line of JSON on standard output: milliseconds to load, of each run, their median and 90th
//       percentile (nearest rank), and the peak of resident memory in bytes (-1: unknown). The LR is a
//       fixed pattern. FILE receives the time of each operator, as ExecuTorch's Inspector reads it;
//       recording slows the runs down.
//
// Exit status: 0 success; 1 a file, tile or run that failed; 2 wrong arguments. A line on standard error
// that begins with "pte_runner: " says why; ExecuTorch's own log may be around it.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <executorch/devtools/etdump/etdump_flatcc.h>
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

namespace executorch::extension::threadpool {
// The library has this class but the SDK lacks its header: only what is called here, of release 1.5.1.
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(uint32_t threads);
  size_t get_thread_count() const;
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace {

using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::etdump::ETDumpGen;
using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::Program;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string model, etdump;
  bool bench = false;
  int warmup = 5, runs = 50, threads = 1;
};

[[noreturn]] void fail(int status, const std::string& why) {
  std::fprintf(stderr, "pte_runner: %s\n", why.c_str());
  std::exit(status);
}

void require(Error error, const std::string& what) {
  if (error != Error::Ok) {
    fail(1, what + " failed with ExecuTorch's error " + std::to_string(static_cast<int>(error)));
  }
}

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

int number(const char* option, const char* text, int least) {
  char* end = nullptr;
  const long value = text ? std::strtol(text, &end, 10) : 0;
  if (!text || end == text || *end || value < least || value > 1000000) {
    fail(2, std::string(option) + " needs a whole number from " + std::to_string(least) + " on");
  }
  return static_cast<int>(value);
}

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const char* next = i + 1 < count ? words[i + 1] : nullptr;
    if (word == "--bench") {
      options.bench = true;
      continue;
    } else if (word == "--warmup") {
      options.warmup = number("--warmup", next, 0);
    } else if (word == "--runs") {
      options.runs = number("--runs", next, 1);
    } else if (word == "--threads") {
      options.threads = number("--threads", next, 1);
    } else if (word == "--etdump" && next) {
      options.etdump = next;
    } else if (word[0] != '-' && options.model.empty()) {
      options.model = word;
      continue;
    } else {
      fail(2, "unknown argument " + word);
    }
    ++i;  // the value that belongs to the option
  }
  if (options.model.empty() || (!options.bench && !options.etdump.empty())) {
    fail(2, "usage: pte_runner MODEL [--threads N] [--bench [--warmup N] [--runs N] [--etdump FILE]]");
  }
  return options;
}

// The network: one LR tile in, one SR tile out, both float32.
class Network {
 public:
  Network(const std::string& path, std::unique_ptr<ETDumpGen> tracer)
      : module_(path, Module::LoadMode::File, std::move(tracer)) {
    require(module_.load(Program::Verification::InternalConsistency), "loading " + path);
    require(module_.load_method("forward"), "loading the method forward of " + path);
    const auto meta = module_.method_meta("forward");
    require(meta.error(), "reading the method forward of " + path);
    if (meta->num_inputs() != 1 || meta->num_outputs() != 1) {
      fail(1, path + " must have one input and one output");
    }
    const auto input = meta->input_tensor_meta(0);
    require(input.error(), "reading the input of " + path);
    if (input->scalar_type() != ScalarType::Float) {
      fail(1, path + " takes something other than float32");
    }
    shape_.assign(input->sizes().begin(), input->sizes().end());
    lr.resize(input->nbytes() / sizeof(float));
  }

  // SR of what `lr` holds; valid until the next call.
  executorch::aten::Tensor run() {
    const auto tensor = executorch::extension::from_blob(lr.data(), shape_, ScalarType::Float);
    const auto outputs = module_.forward(tensor);
    require(outputs.error(), "running the network");
    if (!outputs->at(0).isTensor() || outputs->at(0).toTensor().scalar_type() != ScalarType::Float) {
      fail(1, "the network returned something other than a float32 tensor");
    }
    return outputs->at(0).toTensor();
  }

  void write_etdump(const std::string& path) {
    const auto dump = static_cast<ETDumpGen*>(module_.event_tracer())->get_etdump_data();
    std::FILE* file = dump.buf ? std::fopen(path.c_str(), "wb") : nullptr;
    const bool written = file && std::fwrite(dump.buf, 1, dump.size, file) == dump.size;
    if (!file || std::fclose(file) != 0 || !written) {
      fail(1, "cannot write the operators' times to " + path);
    }
    std::free(dump.buf);
  }

  std::vector<float> lr;

 private:
  Module module_;
  std::vector<SizesType> shape_;
};

void run_tiles(Network& network) {
  const size_t wanted = network.lr.size() * sizeof(float);
  for (size_t tiles = 0;; ++tiles) {
    const size_t got = std::fread(network.lr.data(), 1, wanted, stdin);
    if (got == 0 && std::feof(stdin)) {
      return;
    }
    if (got != wanted) {
      fail(1, "input ended in tile " + std::to_string(tiles) + ", after " + std::to_string(got) + " of " +
                  std::to_string(wanted) + " bytes");
    }
    const auto sr = network.run();
    if (std::fwrite(sr.const_data_ptr(), 1, sr.nbytes(), stdout) != sr.nbytes() || std::fflush(stdout)) {
      fail(1, "cannot write the SR of tile " + std::to_string(tiles));
    }
  }
}

// VmHWM and not getrusage's figure, whose peak begins with that of the process that started this one.
long long peak_bytes() {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  long long kib = -1;
  char line[256];
  while (status && std::fgets(line, sizeof line, status)) {
    std::sscanf(line, "VmHWM: %lld kB", &kib);
  }
  if (status) {
    std::fclose(status);
  }
  return kib < 0 ? -1 : 1024 * kib;
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(std::ceil(share * values.size())) - 1];
}

void bench(Network& network, const Options& options, double load_ms) {
  uint32_t state = 1;  // a linear congruential generator: the same LR on every machine
  for (float& value : network.lr) {
    state = 1664525u * state + 1013904223u;
    value = static_cast<float>(state >> 8) / 16777216.0f;
  }
  std::vector<double> runs;
  for (int i = 0; i < options.warmup + options.runs; ++i) {
    const auto began = Clock::now();
    network.run();
    if (i >= options.warmup) {
      runs.push_back(ms_since(began));
    }
  }
  std::printf("{\"load_ms\": %.3f, \"median_ms\": %.3f, \"p90_ms\": %.3f, \"peak_rss_bytes\": %lld, ", load_ms,
              percentile(runs, 0.5), percentile(runs, 0.9), peak_bytes());
  const auto pool = executorch::extension::threadpool::get_threadpool();
  std::printf("\"threads\": %zu, \"warmup\": %d, \"runs_ms\": [", pool->get_thread_count(), options.warmup);
  for (size_t i = 0; i < runs.size(); ++i) {
    std::printf("%s%.3f", i ? ", " : "", runs[i]);
  }
  std::printf("]}\n");
}

}  // namespace

int main(int count, char** words) {
  const Options options = parse(count, words);
  const auto pool = executorch::extension::threadpool::get_threadpool();
  // before any file is loaded: XNNPACK holds on to the pool that it found then
  if (!pool || !pool->_unsafe_reset_threadpool(options.threads)) {
    fail(1, "cannot have " + std::to_string(options.threads) + " threads");
  }
  const auto began = Clock::now();
  Network network(options.model, options.etdump.empty() ? nullptr : std::make_unique<ETDumpGen>());
  const double load_ms = ms_since(began);
  if (options.bench) {
    bench(network, options, load_ms);
  } else {
    run_tiles(network);
  }
  if (!options.etdump.empty()) {
    network.write_etdump(options.etdump);
  }
  return std::fflush(stdout) ? 1 : 0;
}
