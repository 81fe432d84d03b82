// Runs a .pte without Python and torch: on this host, on ARM64 under an emulator, and on a phone.
// Built by export/native/build.py from this file, runner.h, which says how it is used, and the C++ SDK
// inside ExecuTorch's wheel alone.

#include "runner.h"

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

const char* const runner::kName = "pte_runner";

namespace {

using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::etdump::ETDumpGen;
using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::Program;
using runner::fail;

void require(Error error, const std::string& what) {
  if (error != Error::Ok) {
    fail(1, what + " failed with ExecuTorch's error " + std::to_string(static_cast<int>(error)));
  }
}

class Pte : public runner::Network {
 public:
  explicit Pte(const runner::Options& options)
      : module_(options.model, Module::LoadMode::File,
                options.etdump.empty() ? nullptr : std::make_unique<ETDumpGen>()),
        etdump_(options.etdump) {
    const std::string& path = options.model;
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

  runner::Values run() override {
    const auto tensor = executorch::extension::from_blob(lr.data(), shape_, ScalarType::Float);
    const auto outputs = module_.forward(tensor);
    require(outputs.error(), "running the network");
    if (!outputs->at(0).isTensor() || outputs->at(0).toTensor().scalar_type() != ScalarType::Float) {
      fail(1, "the network returned something other than a float32 tensor");
    }
    const auto sr = outputs->at(0).toTensor();
    return {static_cast<const float*>(sr.const_data_ptr()), static_cast<size_t>(sr.numel())};
  }

  void finish() override {
    if (etdump_.empty()) {
      return;
    }
    const auto dump = static_cast<ETDumpGen*>(module_.event_tracer())->get_etdump_data();
    std::FILE* file = dump.buf ? std::fopen(etdump_.c_str(), "wb") : nullptr;
    const bool written = file && std::fwrite(dump.buf, 1, dump.size, file) == dump.size;
    if (!file || std::fclose(file) != 0 || !written) {
      fail(1, "cannot write the operators' times to " + etdump_);
    }
    std::free(dump.buf);
  }

 private:
  Module module_;
  std::vector<SizesType> shape_;
  std::string etdump_;
};

std::unique_ptr<runner::Network> open(const runner::Options& options) {
  const auto pool = executorch::extension::threadpool::get_threadpool();
  // before any file is loaded: XNNPACK holds on to the pool that it found then
  if (!pool || !pool->_unsafe_reset_threadpool(options.threads) ||
      pool->get_thread_count() != static_cast<size_t>(options.threads)) {
    fail(1, "cannot have " + std::to_string(options.threads) + " threads");
  }
  return std::make_unique<Pte>(options);
}

}  // namespace

int main(int count, char** words) { return runner::run(count, words, open); }
