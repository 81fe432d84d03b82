package edgesr.demo

import android.content.Context
import android.net.Uri
import android.os.Handler
import android.os.Looper
import android.system.Os
import android.system.OsConstants
import android.util.Log
import edgesr.core.BadModel
import edgesr.core.BandSink
import edgesr.core.Cancelled
import edgesr.core.Canvas
import edgesr.core.Listener
import edgesr.core.ModelCard
import edgesr.core.Png
import edgesr.core.Timing
import edgesr.core.Upscaler
import java.io.File
import java.io.IOException
import java.io.OutputStream
import java.util.concurrent.Executors

/** What the app is doing. */
enum class Stage { EMPTY, LOADING, READY, RUNNING, DONE, SAVING }

/** Figures of a run, all of one moment. */
data class Figures(
    val done: Int,
    val total: Int,
    val medianMs: Double,
    val etaSeconds: Double,
    val totalSeconds: Double,
    val megapixelsPerSecond: Double,
    val threads: Int,
    val residentMb: Long,
)

/**
 * One photo and its enlargement, for the length of the process: turning the phone does not touch it.
 *
 * Everything lies in a folder of the app too (the photo's file, the rows that are done, the settings),
 * so that a new process goes on where the last one was killed. Its properties change on the main thread
 * only, and [observer] is told there.
 */
class Session private constructor(
    private val context: Context,
) {
    private val store = Store(context)
    private val models = Models(context)
    private val worker = Executors.newSingleThreadExecutor()
    private val main = Handler(Looper.getMainLooper())

    @Volatile
    private var cancelled = false

    var observer: (() -> Unit)? = null
    var stage = Stage.EMPTY
        private set
    var cards: List<ModelCard> = emptyList()
        private set
    var card: ModelCard? = null
        private set
    var threads = 0
        private set
    var photo: Photo? = null
        private set
    var canvas: Canvas? = null
        private set
    var overview: Overview? = null
        private set
    var figures: Figures? = null
        private set

    /** A saved enlargement that the person wants to share, until somebody asks where to. */
    var toShare: Uri? = null

    /** How far saving is, in 0..1. */
    var saved = 0.0
        private set

    /** What went wrong last, for the person; null after something went well. */
    var problem: String? = null
        private set

    /** A run was ended or killed and its rows are there to go on from. */
    val continuable: Boolean get() = stage == Stage.READY && (canvas?.rowsDone ?: 0) > 0

    /** It is done, and other threads than it was done with are chosen: worth timing once more. */
    val repeatable: Boolean get() = stage == Stage.DONE && figures?.threads != threads

    init {
        try {
            cards = models.cards()
            card = cards.firstOrNull { it.sha256 == store.model } ?: cards.first()
            threads = store.threads
            if (store.photo.isFile) load(fresh = false)
        } catch (error: BadModel) {
            problem = error.message
        }
    }

    /** Take another photo. Its content is copied, for the right to read [uri] ends with this process. */
    fun open(uri: Uri) {
        cancelled = true
        enter(Stage.LOADING)
        worker.execute {
            try {
                store.take(uri)
                main.post { load(fresh = true) }
            } catch (error: IOException) {
                fail(context.getString(R.string.error_photo, error.message), error, loaded = true)
            }
        }
    }

    /**
     * Choose a model and a number of threads, 0 for the runtime's own choice. What is half done begins
     * anew.
     */
    fun choose(
        card: ModelCard,
        threads: Int,
    ) {
        if (stage == Stage.RUNNING || stage == Stage.SAVING || stage == Stage.LOADING) return
        val other = card != this.card
        if (other) forget() // first, lest rows of one model be continued by another
        this.card = card
        this.threads = threads
        store.remember(card.sha256, threads)
        if (other) enter(if (photo == null) Stage.EMPTY else Stage.READY) else observer?.invoke()
    }

    /** Enlarge the photo, go on with it, or enlarge it again. */
    fun start() {
        val (photo, card) = (photo ?: return) to (card ?: return)
        if (stage != Stage.READY && !repeatable) return
        store.shortage(photo.width, photo.height, card, photo.bytes)?.let { return refuse(it) }
        if (stage == Stage.DONE) forget()
        cancelled = false
        enter(Stage.RUNNING)
        val begun = canvas
        worker.execute { guarded { run(photo, card, begun) } }
    }

    /** End what runs, within one tile. */
    fun cancel() {
        cancelled = true
    }

    /**
     * Write the enlargement as PNG to what [open] gives, then call [then] on the main thread with
     * whether it is whole.
     */
    fun save(
        open: () -> OutputStream,
        then: (Boolean) -> Unit,
    ) {
        val canvas = canvas ?: return
        if (stage != Stage.DONE) return
        cancelled = false
        saved = 0.0
        enter(Stage.SAVING)
        worker.execute {
            var whole = false
            guarded {
                open().buffered(1 shl 16).use { Png.write(canvas, it, Saving()) }
                whole = true
            }
            main.post {
                then(whole)
                if (whole && stage == Stage.SAVING) enter(Stage.DONE)
            }
        }
    }

    /** Whatever ends work that cannot go on, as a sentence, with the work done so far kept. */
    private fun guarded(action: () -> Unit) {
        try {
            action()
        } catch (error: Cancelled) {
            Log.i(TAG, "cancelled", error)
            settle(null)
        } catch (error: BadModel) {
            fail(error.message.orEmpty(), error)
        } catch (error: IOException) {
            fail(context.getString(R.string.error_storage, error.message), error)
        } catch (error: OutOfMemoryError) {
            fail(context.getString(R.string.error_memory), error)
        }
    }

    private fun run(
        photo: Photo,
        card: ModelCard,
        begun: Canvas?,
    ) {
        val (width, height) = card.scale * photo.width to card.scale * photo.height
        val canvas = begun ?: Canvas.create(store.enlargement, width, height)
        val overview = overview ?: Overview(canvas)
        main.post {
            this.canvas = canvas
            this.overview = overview
        }
        ExecuTorchEngine(models.file(card), card, threads).use { engine ->
            val sink =
                BandSink { y, rows, argb ->
                    canvas.write(y, rows, argb)
                    overview.follow { cancelled }
                }
            Upscaler(engine, card).run(photo, sink, Running(width.toLong() * height), canvas.rowsDone)
        }
        overview.follow()
        settle(null)
    }

    /** Tells the screen of each tile. */
    private inner class Running(
        private val pixels: Long,
    ) : Listener {
        private var timing: Timing? = null

        override fun cancelled() = cancelled

        override fun onTile(
            done: Int,
            total: Int,
            milliseconds: Double,
        ) {
            val timing = timing ?: Timing(total, pixels, done - 1).also { timing = it }
            timing.add(milliseconds)
            val figures =
                Figures(
                    timing.done,
                    total,
                    timing.medianMs,
                    timing.etaSeconds,
                    timing.totalSeconds,
                    timing.megapixelsPerSecond,
                    threads,
                    residentMb(),
                )
            main.post {
                this@Session.figures = figures
                observer?.invoke()
            }
        }
    }

    private inner class Saving : Listener {
        override fun cancelled() = cancelled

        override fun onTile(
            done: Int,
            total: Int,
            milliseconds: Double,
        ) {
            if (done % ROWS_BETWEEN_NEWS != 0) return
            main.post {
                saved = done.toDouble() / total
                observer?.invoke()
            }
        }
    }

    /** Decode the photo's file and find what is done of it, unless it is [fresh]. */
    private fun load(fresh: Boolean) {
        photo = null
        forget(delete = fresh)
        val card = card ?: return settle(context.getString(R.string.error_no_model), loaded = true)
        enter(Stage.LOADING)
        worker.execute {
            try {
                val photo =
                    Photo.decode(store.photo) { width, height ->
                        if (fresh) store.shortage(width, height, card, 0) else null
                    }
                val canvas = if (fresh) null else store.recovered(photo, card)
                val overview = canvas?.let(::Overview)?.apply { follow() }
                main.post {
                    this.photo = photo
                    this.canvas = canvas
                    this.overview = overview
                    settle(null, loaded = true)
                }
            } catch (error: BadPhoto) {
                notLoaded(context.getString(R.string.error_photo, error.message), error)
            } catch (error: OutOfMemoryError) {
                notLoaded(context.getString(R.string.error_memory), error)
            }
        }
    }

    private fun forget(delete: Boolean = true) {
        canvas?.close()
        canvas = null
        overview = null
        figures = null
        if (delete) store.enlargement.delete()
    }

    private fun refuse(problem: String) {
        this.problem = problem
        observer?.invoke()
    }

    /** The photo that was taken last is none, and is not tried again. */
    private fun notLoaded(
        message: String,
        error: Throwable,
    ) {
        store.photo.delete()
        fail(message, error, loaded = true)
    }

    private fun fail(
        message: String,
        error: Throwable,
        loaded: Boolean = false,
    ) {
        Log.e(TAG, message, error)
        settle(message, loaded)
    }

    /**
     * Work ended: go where what is there leads. While a photo is loading, only the end of that counts.
     */
    private fun settle(
        problem: String?,
        loaded: Boolean = false,
    ) {
        main.post {
            if (stage != Stage.LOADING || loaded) {
                val next =
                    when {
                        photo == null -> Stage.EMPTY
                        canvas?.complete == true -> Stage.DONE
                        else -> Stage.READY
                    }
                enter(next)
                if (problem != null) refuse(problem)
            }
        }
    }

    private fun enter(stage: Stage) {
        this.stage = stage
        problem = null
        observer?.invoke()
    }

    companion object {
        private const val TAG = "edgesr"
        private const val ROWS_BETWEEN_NEWS = 64
        private var only: Session? = null

        /** The process's session. Main thread only. */
        fun of(context: Context): Session =
            only ?: Session(context.applicationContext).also { only = it }

        /** Memory of this process that is in RAM, in megabytes, as the kernel counts it. */
        fun residentMb(): Long {
            val pages = File("/proc/self/statm").readText().split(' ')[1].toLong()
            return pages * Os.sysconf(OsConstants._SC_PAGESIZE) shr 20
        }
    }
}
