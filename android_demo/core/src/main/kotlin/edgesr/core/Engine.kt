package edgesr.core

import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/**
 * A model that upscales one tile. Fill [input], call [run], read [output].
 *
 * Both buffers hold planes (see [Pixels]) of float32 in [0,1], are direct and in native order, and stay
 * the same ones for the engine's life. An engine belongs to one thread at a time.
 */
interface Engine : AutoCloseable {
    val input: FloatBuffer
    val output: FloatBuffer

    /** @throws BadModel where the runtime refuses the model. */
    fun run()

    override fun close()
}

/** A buffer as [Engine] asks for. */
fun directFloats(count: Int): FloatBuffer =
    ByteBuffer.allocateDirect(Float.SIZE_BYTES * count).order(ByteOrder.nativeOrder()).asFloatBuffer()

/**
 * Position 0, limit at the capacity.
 *
 * Declared for [Buffer] on purpose: compiled against a JDK above 8, `FloatBuffer.clear()` is a method of
 * its own, which Android 9 does not have.
 */
fun Buffer.restart() {
    clear()
}
