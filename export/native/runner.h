// What the runners of exported files have in common: arguments, tiles from standard input to standard output,
// timing. Each runner is one file that includes this one and says what a network is to its runtime:
//
//   RUNNER MODEL [--threads N]
//       Tiles. Standard input is any number of LR tiles, one after another with nothing between them;
//       standard output is the SR tile of each, in the same order, written as soon as it is computed.
//       A tile is raw float32 in the machine's (little-endian) order, shaped (1,3,H,W) as the file
//       says, values in [0,1]. Input may end after any whole tile; within one it is an error.
//   RUNNER MODEL --bench [--warmup N] [--runs N] [--threads N] [--etdump FILE]
//       One line of JSON on standard output: milliseconds to load, of each run, their median and 90th
//       percentile (nearest rank), and the peak of resident memory in bytes (-1: unknown). The LR is a
//       fixed pattern. FILE receives the time of each operator, as ExecuTorch's Inspector reads it;
//       recording slows the runs down.
//
// Exit status: 0 success; 1 a file, tile or run that failed; 2 wrong arguments. A line on standard error
// that begins with the runner's name and a colon says why; the runtime's own log may be around it.

#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace runner {

extern const char* const kName;  // of the program, as its lines on standard error begin

struct Options {
  std::string model, etdump;
  bool bench = false;
  int warmup = 5, runs = 50, threads = 1;
};

struct Values {
  const float* data;
  size_t count;
};

// An exported file, opened: one LR tile in, one SR tile out.
class Network {
 public:
  virtual ~Network() = default;
  // SR (1,3,sH,sW) of what `lr` holds; valid until the next call.
  virtual Values run() = 0;
  virtual void finish() {}

  std::vector<float> lr;  // (1,3,H,W)
};

[[noreturn]] inline void fail(int status, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", kName, why.c_str());
  std::exit(status);
}

using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

inline int number(const char* option, const char* text, int least) {
  char* end = nullptr;
  const long value = text ? std::strtol(text, &end, 10) : 0;
  if (!text || end == text || *end || value < least || value > 1000000) {
    fail(2, std::string(option) + " needs a whole number from " + std::to_string(least) + " on");
  }
  return static_cast<int>(value);
}

inline Options parse(int count, char** words) {
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
    fail(2, std::string("usage: ") + kName +
                " MODEL [--threads N] [--bench [--warmup N] [--runs N] [--etdump FILE]]");
  }
  return options;
}

inline void run_tiles(Network& network) {
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
    const Values sr = network.run();
    if (std::fwrite(sr.data, sizeof(float), sr.count, stdout) != sr.count || std::fflush(stdout)) {
      fail(1, "cannot write the SR of tile " + std::to_string(tiles));
    }
  }
}

// VmHWM and not getrusage's figure, whose peak begins with that of the process that started this one.
inline long long peak_bytes() {
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

inline double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(std::ceil(share * values.size())) - 1];
}

inline void bench(Network& network, const Options& options, double load_ms) {
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
  std::printf("\"threads\": %d, \"warmup\": %d, \"runs_ms\": [", options.threads, options.warmup);
  for (size_t i = 0; i < runs.size(); ++i) {
    std::printf("%s%.3f", i ? ", " : "", runs[i]);
  }
  std::printf("]}\n");
}

// The whole program: `open` makes a network of the file that the arguments name, or fails.
inline int run(int count, char** words, const std::function<std::unique_ptr<Network>(const Options&)>& open) {
  const Options options = parse(count, words);
  const auto began = Clock::now();
  const std::unique_ptr<Network> network = open(options);
  const double load_ms = ms_since(began);
  if (options.bench) {
    bench(*network, options, load_ms);
  } else {
    run_tiles(*network);
  }
  network->finish();
  return std::fflush(stdout) ? 1 : 0;
}

}  // namespace runner
