// Runs a .tflite without Python: on this host, and on ARM64 under an emulator.
// Built by export/native/build.py from this file, runner.h, which says how it is used, and libLiteRt.so inside
// LiteRT's wheel. The wheel has no headers, so what is called here is declared here, as release 2.3.0 has it.

#include "runner.h"

const char* const runner::kName = "tflite_runner";

extern "C" {
struct LiteRtRankedTensorType {
  int32_t element;
  uint32_t rank : 7;
  uint32_t has_strides : 1;
  int32_t dimensions[8];
  uint32_t strides[8];
};
struct LiteRtQuantizationPerTensor {
  float scale;
  int64_t zero_point;
};
using LiteRtHandle = void*;  // to an environment, a model, options, …: each is opaque
int LiteRtCreateEnvironment(int count, const void* options, LiteRtHandle* environment);
int LiteRtCreateModelFromFile(LiteRtHandle environment, const char* path, LiteRtHandle* model);
int LiteRtCreateOptions(LiteRtHandle* options);
int LiteRtSetOptionsHardwareAccelerators(LiteRtHandle options, int accelerators);
int LiteRtCreateCompiledModel(LiteRtHandle environment, LiteRtHandle model, LiteRtHandle options,
                              LiteRtHandle* compiled);
int LiteRtGetModelSignature(LiteRtHandle model, size_t index, LiteRtHandle* signature);
int LiteRtGetNumSignatureInputs(LiteRtHandle signature, size_t* count);
int LiteRtGetNumSignatureOutputs(LiteRtHandle signature, size_t* count);
int LiteRtGetSignatureInputTensorByIndex(LiteRtHandle signature, size_t index, LiteRtHandle* tensor);
int LiteRtGetSignatureOutputTensorByIndex(LiteRtHandle signature, size_t index, LiteRtHandle* tensor);
int LiteRtGetRankedTensorType(LiteRtHandle tensor, LiteRtRankedTensorType* type);
int LiteRtGetPerTensorQuantization(LiteRtHandle tensor, LiteRtQuantizationPerTensor* quantization);
int LiteRtCreateTensorBufferFromHostMemory(const LiteRtRankedTensorType* type, void* memory, size_t bytes,
                                           void (*release)(void*), LiteRtHandle* buffer);
int LiteRtRunCompiledModel(LiteRtHandle compiled, size_t signature, size_t inputs, LiteRtHandle* input,
                           size_t outputs, LiteRtHandle* output);
}
static_assert(sizeof(LiteRtRankedTensorType) == 72 && sizeof(LiteRtQuantizationPerTensor) == 16);

namespace {

using runner::fail;

constexpr int kCpu = 1;
constexpr size_t kAlignment = 64;  // of memory that LiteRT is lent
enum Element { kFloat32 = 1, kUint8 = 3, kInt8 = 9 };

void require(int status, const std::string& what) {
  if (status != 0) {
    fail(1, what + " failed with LiteRT's status " + std::to_string(status));
  }
}

// One end of a file: an image (1,H,W,3) of float32, int8 or uint8.
class Image {
 public:
  Image(LiteRtHandle tensor, const std::string& which) {
    require(LiteRtGetRankedTensorType(tensor, &type_), "reading the " + which);
    const int32_t* sides = type_.dimensions;
    if (type_.rank != 4 || sides[0] != 1 || sides[3] != 3 || sides[1] < 1 || sides[2] < 1) {
      fail(1, "the " + which + " is no RGB image of a fixed size");
    }
    pixels_ = static_cast<size_t>(sides[1]) * sides[2];
    if (type_.element == kInt8 || type_.element == kUint8) {
      require(LiteRtGetPerTensorQuantization(tensor, &quantization_), "reading the scale of the " + which);
    } else if (type_.element != kFloat32) {
      fail(1, "the " + which + " is neither float32 nor int8 nor uint8");
    }
    const size_t bytes = count() * (type_.element == kFloat32 ? sizeof(float) : 1);
    memory_ = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    require(LiteRtCreateTensorBufferFromHostMemory(&type_, memory_, bytes, nullptr, &buffer),
            "lending memory for the " + which);
  }

  size_t count() const { return 3 * pixels_; }

  // As edgesr/engines/litert.py quantizes: rounded to the nearest, ties to even, and cut off.
  void write(const std::vector<float>& planes) {
    const float steps = 1.0f / quantization_.scale;
    const float zero = static_cast<float>(quantization_.zero_point);
    const float least = type_.element == kInt8 ? -128.0f : 0.0f;
    for (size_t pixel = 0; pixel < pixels_; ++pixel) {
      for (size_t channel = 0; channel < 3; ++channel) {
        const float value = planes[channel * pixels_ + pixel];
        const size_t place = 3 * pixel + channel;
        if (type_.element == kFloat32) {
          static_cast<float*>(memory_)[place] = value;
        } else {
          const float level = std::nearbyint(value * steps) + zero;
          static_cast<uint8_t*>(memory_)[place] =
              static_cast<uint8_t>(static_cast<int>(std::min(std::max(level, least), least + 255.0f)));
        }
      }
    }
  }

  void read(std::vector<float>& planes) const {
    for (size_t pixel = 0; pixel < pixels_; ++pixel) {
      for (size_t channel = 0; channel < 3; ++channel) {
        const size_t place = 3 * pixel + channel;
        float& value = planes[channel * pixels_ + pixel];
        if (type_.element == kFloat32) {
          value = static_cast<const float*>(memory_)[place];
        } else {
          const int level = type_.element == kInt8 ? static_cast<const int8_t*>(memory_)[place]
                                                   : static_cast<const uint8_t*>(memory_)[place];
          value = (level - static_cast<float>(quantization_.zero_point)) * quantization_.scale;
        }
      }
    }
  }

  LiteRtHandle buffer = nullptr;

 private:
  LiteRtRankedTensorType type_{};
  LiteRtQuantizationPerTensor quantization_{1.0f, 0};
  size_t pixels_ = 0;
  void* memory_ = nullptr;
};

class Tflite : public runner::Network {
 public:
  explicit Tflite(const std::string& path) {
    LiteRtHandle environment, model, options, signature, tensor;
    require(LiteRtCreateEnvironment(0, nullptr, &environment), "starting LiteRT");
    require(LiteRtCreateModelFromFile(environment, path.c_str(), &model), "loading " + path);
    require(LiteRtCreateOptions(&options), "choosing the CPU");
    require(LiteRtSetOptionsHardwareAccelerators(options, kCpu), "choosing the CPU");
    require(LiteRtCreateCompiledModel(environment, model, options, &compiled_), "preparing " + path);
    require(LiteRtGetModelSignature(model, 0, &signature), "reading the signature of " + path);
    size_t inputs = 0, outputs = 0;
    require(LiteRtGetNumSignatureInputs(signature, &inputs), "reading the signature of " + path);
    require(LiteRtGetNumSignatureOutputs(signature, &outputs), "reading the signature of " + path);
    if (inputs != 1 || outputs != 1) {
      fail(1, path + " must have one input and one output");
    }
    require(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor), "reading the input of " + path);
    image_ = std::make_unique<Image>(tensor, "input of " + path);
    require(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor), "reading the output of " + path);
    upscaled_ = std::make_unique<Image>(tensor, "output of " + path);
    lr.resize(image_->count());
    sr_.resize(upscaled_->count());
  }

  runner::Values run() override {
    image_->write(lr);
    require(LiteRtRunCompiledModel(compiled_, 0, 1, &image_->buffer, 1, &upscaled_->buffer),
            "running the network");
    upscaled_->read(sr_);
    return {sr_.data(), sr_.size()};
  }

 private:
  LiteRtHandle compiled_ = nullptr;
  std::unique_ptr<Image> image_, upscaled_;
  std::vector<float> sr_;
};

std::unique_ptr<runner::Network> open(const runner::Options& options) {
  if (options.threads != 1 || !options.etdump.empty()) {
    fail(2, "runs on one thread and records no operators: leave --threads and --etdump away");
  }
  return std::make_unique<Tflite>(options.model);
}

}  // namespace

int main(int count, char** words) { return runner::run(count, words, open); }
