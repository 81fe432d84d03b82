package edgesr.core

import java.io.Closeable
import java.io.EOFException
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer

/**
 * An enlargement on storage, readable while it is written: a header, then three bytes a pixel, row by
 * row.
 *
 * The header counts the rows that are there. It is written after the rows are, so what a killed process
 * leaves behind can be continued.
 */
class Canvas private constructor(
    private val file: RandomAccessFile,
    override val width: Int,
    override val height: Int,
    rows: Int,
) : Picture,
    BandSink,
    Closeable {
    /** Rows from the top that are written. */
    @Volatile
    var rowsDone: Int = rows
        private set

    val complete: Boolean get() = rowsDone == height

    private var bytes = ByteArray(0)

    /** @throws IOException where the storage is full; what was written before stays good. */
    override fun write(
        y: Int,
        rows: Int,
        argb: IntArray,
    ) {
        require(y == rowsDone) { "row $y does not follow row $rowsDone" }
        val needed = 3 * width * rows
        if (bytes.size < needed) bytes = ByteArray(needed)
        for (index in 0 until width * rows) {
            val pixel = argb[index]
            bytes[3 * index] = Pixels.red(pixel).toByte()
            bytes[3 * index + 1] = Pixels.green(pixel).toByte()
            bytes[3 * index + 2] = Pixels.blue(pixel).toByte()
        }
        put(ByteBuffer.wrap(bytes, 0, needed), offset(0, y))
        put(header(width, height, y + rows), 0)
        rowsDone = y + rows
    }

    override fun read(
        x: Int,
        y: Int,
        width: Int,
        height: Int,
        into: IntArray,
    ) {
        val row = ByteArray(3 * width)
        for (line in 0 until height) {
            readRow(x, y + line, row)
            for (column in 0 until width) into[line * width + column] = pixel(row, 3 * column)
        }
    }

    /** The bytes of row [y] from pixel [x] on, as many as [into] holds. */
    fun readRow(
        x: Int,
        y: Int,
        into: ByteArray,
    ) {
        val buffer = ByteBuffer.wrap(into)
        var at = offset(x, y)
        while (buffer.hasRemaining()) {
            val count = file.channel.read(buffer, at)
            if (count < 0) throw EOFException("row $y is not there")
            at += count
        }
    }

    /**
     * [width] x [height] means over squares of [step] pixels, the first at ([x], [y]), which lie inside.
     */
    fun readReduced(
        x: Int,
        y: Int,
        width: Int,
        height: Int,
        step: Int,
        into: IntArray,
    ) {
        val row = ByteArray(3 * width * step)
        val sums = IntArray(3 * width)
        for (line in 0 until height) {
            sums.fill(0)
            for (below in 0 until step) {
                readRow(x, y + line * step + below, row)
                for (index in row.indices) {
                    sums[index / (3 * step) * 3 + index % 3] +=
                        row[index].toInt() and 0xFF
                }
            }
            for (column in 0 until width) {
                into[line * width + column] =
                    mean(sums, 3 * column, step * step)
            }
        }
    }

    private fun mean(
        sums: IntArray,
        at: Int,
        count: Int,
    ): Int {
        val half = count / 2
        return Pixels.pack(
            (sums[at] + half) / count,
            (sums[at + 1] + half) / count,
            (sums[at + 2] + half) / count,
        )
    }

    private fun pixel(
        row: ByteArray,
        at: Int,
    ): Int =
        Pixels.pack(
            row[at].toInt() and 0xFF,
            row[at + 1].toInt() and 0xFF,
            row[at + 2].toInt() and 0xFF,
        )

    private fun offset(
        x: Int,
        y: Int,
    ): Long = HEADER + 3L * (y.toLong() * width + x)

    private fun put(
        buffer: ByteBuffer,
        position: Long,
    ) {
        var at = position
        while (buffer.hasRemaining()) at += file.channel.write(buffer, at)
    }

    override fun close() = file.close()

    companion object {
        const val HEADER = 16L
        private const val MAGIC = 0x65534331 // "eSC1"

        /** A new canvas of [width] x [height] pixels in [path], which is overwritten. */
        fun create(
            path: File,
            width: Int,
            height: Int,
        ): Canvas {
            val file = RandomAccessFile(path, "rw")
            file.setLength(0)
            return Canvas(file, width, height, 0).apply { put(header(width, height, 0), 0) }
        }

        /** The canvas in [path]. @throws IOException where there is none. */
        fun open(path: File): Canvas {
            if (!path.isFile) throw IOException("$path is not there")
            val file = RandomAccessFile(path, "rw")
            try {
                val magic = file.readInt()
                val (width, height, rows) = Triple(file.readInt(), file.readInt(), file.readInt())
                val needed = HEADER + 3L * width * rows
                if (magic != MAGIC || width < 1 || rows !in 0..height || file.length() < needed) {
                    throw IOException("$path holds no enlargement")
                }
                return Canvas(file, width, height, rows)
            } catch (error: IOException) {
                file.close()
                throw error
            }
        }

        private fun header(
            width: Int,
            height: Int,
            rows: Int,
        ): ByteBuffer {
            val buffer = ByteBuffer.allocate(HEADER.toInt())
            buffer
                .putInt(MAGIC)
                .putInt(width)
                .putInt(height)
                .putInt(rows)
            buffer.restart()
            return buffer
        }
    }
}
