@file:Suppress("UNUSED_PARAMETER")

package org.pytorch.executorch

import java.io.Closeable
import java.nio.FloatBuffer

// What the app uses of org.pytorch:executorch-android 1.5.1, by the signatures of its public sources,
// and nothing of what it does. Only the check without an SDK compiles against this; Gradle takes the
// library.

open class Module private constructor() : Closeable {
    open fun forward(vararg inputs: EValue): Array<EValue> = TODO()

    open fun loadMethod(methodName: String): Unit = TODO()

    override fun close(): Unit = TODO()

    companion object {
        const val LOAD_MODE_MMAP = 1

        @JvmStatic
        @JvmOverloads
        fun load(
            modelPath: String?,
            loadMode: Int = 0,
            numThreads: Int = 0,
        ): Module = TODO()
    }
}

abstract class Tensor internal constructor() {
    fun shape(): LongArray = TODO()

    open fun copyDataInto(dst: FloatBuffer): Unit = TODO()

    companion object {
        @JvmStatic
        fun allocateFloatBuffer(numElements: Int): FloatBuffer = TODO()

        @JvmStatic
        fun fromBlob(
            data: FloatBuffer,
            shape: LongArray,
        ): Tensor = TODO()
    }
}

class EValue private constructor() {
    fun toTensor(): Tensor = TODO()

    companion object {
        @JvmStatic
        fun from(tensor: Tensor): EValue = TODO()
    }
}
