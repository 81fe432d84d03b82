package edgesr.demo

import android.app.ActivityManager
import android.content.Context
import android.net.Uri
import android.util.Log
import edgesr.core.Bytes
import edgesr.core.Canvas
import edgesr.core.MemoryBudget
import edgesr.core.ModelCard
import java.io.File
import java.io.IOException
import java.util.Properties

/** What a [Session] keeps in the app's folder, so that a new process can go on. */
class Store(
    private val context: Context,
) {
    private val folder = File(context.filesDir, "session").apply { mkdirs() }
    private val settings = File(folder, "settings")

    /** The photo that was taken last, as it came. */
    val photo = File(folder, "photo")

    /** Its enlargement, as far as it is done, by the model of [model]. */
    val enlargement = File(folder, "enlargement")

    /** The SHA-256 of the model that was chosen last. */
    var model: String? = null
        private set
    var threads = 0
        private set

    init {
        val kept = Properties()
        if (settings.isFile) settings.reader().use(kept::load)
        model = kept.getProperty("model")
        threads = kept.getProperty("threads")?.toIntOrNull() ?: 0
    }

    /** Keep a choice. What cannot be kept is forgotten with the process, and nothing worse. */
    fun remember(
        model: String,
        threads: Int,
    ) {
        this.model = model
        this.threads = threads
        val kept = Properties()
        kept.setProperty("model", model)
        kept.setProperty("threads", threads.toString())
        try {
            settings.writer().use { kept.store(it, null) }
        } catch (error: IOException) {
            Log.w(TAG, "settings are not kept", error)
        }
    }

    /** Copy a photo here, whole or not at all. @throws IOException also where it may not be read. */
    fun take(uri: Uri) {
        val half = File(folder, "photo.half")
        try {
            val stream = context.contentResolver.openInputStream(uri) ?: throw IOException("no $uri")
            stream.use { from -> half.outputStream().use { from.copyTo(it) } }
            enlargement.delete() // before it is another photo's
            if (!half.renameTo(photo)) throw IOException("$photo cannot be written")
        } catch (error: SecurityException) {
            throw IOException(error.message, error)
        } finally {
            half.delete()
        }
    }

    /** The rows that an earlier process left, if they can be of this photo and model. */
    fun recovered(
        photo: Photo,
        card: ModelCard,
    ): Canvas? {
        if (!enlargement.isFile) return null
        try {
            val canvas = Canvas.open(enlargement)
            val (width, height) = card.scale * photo.width to card.scale * photo.height
            if (canvas.width == width && canvas.height == height) return canvas
            canvas.close()
        } catch (error: IOException) {
            Log.w(TAG, "what was done is lost", error)
        }
        return null
    }

    /** Why a photo of this size cannot be enlarged now; null if it can. [held] bytes of it are in memory. */
    fun shortage(
        width: Int,
        height: Int,
        card: ModelCard,
        held: Long,
    ): String? {
        val memory = ActivityManager.MemoryInfo()
        context.getSystemService(ActivityManager::class.java).getMemoryInfo(memory)
        val heap = Runtime.getRuntime().run { maxMemory() - totalMemory() + freeMemory() }
        val native = memory.availMem - memory.threshold + held
        val room = Bytes(heap, native, folder.usableSpace + enlargement.length())
        val missing = MemoryBudget.shortage(MemoryBudget.need(width, height, card), room) ?: return null
        return context.getString(R.string.error_too_large, width, height, missing)
    }

    private companion object {
        const val TAG = "edgesr"
    }
}
