package edgesr.demo

import edgesr.core.BadModel
import edgesr.core.Engine
import edgesr.core.ModelCard
import edgesr.core.directFloats
import edgesr.core.restart
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor
import java.io.File
import java.nio.FloatBuffer

/**
 * A .pte in the ExecuTorch runtime. [threads] 0: as many as the runtime thinks best, which is half the
 * cores.
 */
class ExecuTorchEngine(
    file: File,
    private val card: ModelCard,
    threads: Int,
) : Engine {
    override val input: FloatBuffer = Tensor.allocateFloatBuffer(card.inputSize)
    override val output: FloatBuffer = directFloats(card.outputSize)
    private val module: Module = guarded("could not be loaded") { load(file, threads) }
    private val shape = longArrayOf(1, 3, card.tileHeight.toLong(), card.tileWidth.toLong())
    private val enlarged = longArrayOf(1, 3, shape[2] * card.scale, shape[3] * card.scale)

    override fun run() {
        input.restart()
        val result =
            guarded("could not be run") {
                module.forward(EValue.from(Tensor.fromBlob(input, shape)))[0].toTensor()
            }
        if (!result.shape().contentEquals(enlarged)) {
            throw BadModel("${card.file} gave ${result.shape().toList()} and not ${enlarged.toList()}.")
        }
        output.restart()
        result.copyDataInto(output) // it is the runtime's memory, which the next tile overwrites
    }

    override fun close() = module.close()

    private fun load(
        file: File,
        threads: Int,
    ): Module {
        val module = Module.load(file.path, Module.LOAD_MODE_MMAP, threads)
        try {
            module.loadMethod("forward")
        } catch (error: RuntimeException) {
            module.close()
            throw error
        }
        return module
    }

    /** The runtime's exceptions are unchecked and differ between its versions. */
    private fun <T> guarded(
        what: String,
        action: () -> T,
    ): T =
        try {
            action()
        } catch (error: RuntimeException) {
            throw BadModel("${card.file} $what: ${error.message}", error)
        } catch (error: LinkageError) {
            throw BadModel(
                "This phone's processor is not one that the ExecuTorch library was built for.",
                error,
            )
        }
}
