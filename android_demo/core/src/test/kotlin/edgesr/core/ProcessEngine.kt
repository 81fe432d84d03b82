package edgesr.core

import java.io.DataInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * A model in another process: the runtime and kernels of the phone, or those of this host.
 *
 * The process reads a tile from its standard input and answers with the enlarged one on its standard
 * output, again and again, until its input ends. Both are planes of float32, little-endian, without any
 * header. Export's native runner and `android_demo/tools/runner.py` speak so.
 */
class ProcessEngine(
    command: List<String>,
    card: ModelCard,
) : Engine {
    override val input = directFloats(card.inputSize)
    override val output = directFloats(card.outputSize)
    private val process: Process =
        ProcessBuilder(
            command,
        ).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val question =
        ByteBuffer
            .allocate(
                Float.SIZE_BYTES * card.inputSize,
            ).order(ByteOrder.LITTLE_ENDIAN)
    private val answer =
        ByteBuffer
            .allocate(
                Float.SIZE_BYTES * card.outputSize,
            ).order(ByteOrder.LITTLE_ENDIAN)
    private val answers = DataInputStream(process.inputStream)

    override fun run() {
        input.restart()
        question.asFloatBuffer().put(input)
        try {
            process.outputStream.write(question.array())
            process.outputStream.flush()
            answers.readFully(answer.array())
        } catch (error: IOException) {
            throw BadModel("The runner ended before it answered.", error)
        }
        output.restart()
        output.put(answer.asFloatBuffer())
    }

    override fun close() {
        process.outputStream.close()
        val status = process.waitFor()
        if (status != 0) throw BadModel("The runner ended with status $status.")
    }
}
