package edgesr.demo

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.ContentResolver
import android.content.Intent
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.provider.DocumentsContract
import android.util.Log
import android.view.View
import android.view.WindowManager
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.ProgressBar
import android.widget.Spinner
import android.widget.TextView
import android.widget.Toast
import edgesr.core.clock
import java.io.FileNotFoundException
import java.io.IOException
import java.io.OutputStream

/** The one screen: pick a photo, see it grow, compare, save, share. */
class MainActivity : Activity() {
    private lateinit var session: Session
    private lateinit var compare: CompareView
    private lateinit var status: TextView
    private lateinit var progress: ProgressBar
    private lateinit var pick: Button
    private lateinit var main: Button
    private lateinit var save: Button
    private lateinit var share: Button
    private lateinit var model: Spinner
    private lateinit var threads: Spinner

    /** What was asked for is to share, and so to save first. */
    private var sharing = false

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        session = Session.of(this)
        setContentView(R.layout.main)
        compare = findViewById(R.id.compare)
        status = findViewById(R.id.status)
        progress = findViewById(R.id.progress)
        pick = findViewById(R.id.pick)
        main = findViewById(R.id.main)
        save = findViewById(R.id.save)
        share = findViewById(R.id.share)
        model = findViewById(R.id.model)
        threads = findViewById(R.id.threads)
        stayClearOfBars(findViewById(R.id.root))
        pick.setOnClickListener { pick() }
        main.setOnClickListener { if (busy()) session.cancel() else session.start() }
        save.setOnClickListener { save(share = false) }
        share.setOnClickListener { save(share = true) }
        fillSpinners()
        compare.goTo(state?.getDoubleArray(PLACE))
        sharing = state?.getBoolean(SHARING) ?: false
        if (state == null) takeShared(intent)
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putDoubleArray(PLACE, compare.place())
        state.putBoolean(SHARING, sharing)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        takeShared(intent)
    }

    override fun onStart() {
        super.onStart()
        session.observer = ::render
        render()
    }

    override fun onStop() {
        super.onStop()
        session.observer = null
    }

    private fun fillSpinners() {
        val counts = listOf(0) + (1..Runtime.getRuntime().availableProcessors())
        val labels = session.cards.map { it.label }
        fill(model, R.string.model, labels, session.cards.indexOf(session.card)) { index ->
            session.choose(session.cards[index], session.threads)
        }
        val names = counts.map(::threadsName)
        fill(threads, R.string.threads_label, names, counts.indexOf(session.threads)) { index ->
            session.card?.let { session.choose(it, counts[index]) }
        }
    }

    private fun fill(
        spinner: Spinner,
        label: Int,
        names: List<String>,
        chosen: Int,
        choose: (Int) -> Unit,
    ) {
        val adapter = ArrayAdapter(this, android.R.layout.simple_spinner_item, names)
        adapter.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item)
        spinner.adapter = adapter
        spinner.setSelection(maxOf(0, chosen))
        spinner.onItemSelectedListener =
            object : AdapterView.OnItemSelectedListener {
                override fun onItemSelected(
                    parent: AdapterView<*>?,
                    view: View?,
                    position: Int,
                    id: Long,
                ) {
                    // A description hides from TalkBack what is chosen, so it has to say that too.
                    spinner.contentDescription = getString(label, names[position])
                    choose(position)
                }

                override fun onNothingSelected(parent: AdapterView<*>?) = Unit
            }
    }

    private fun busy() = session.stage == Stage.RUNNING || session.stage == Stage.SAVING

    /** Show the session as it is now. */
    private fun render() {
        val stage = session.stage
        val still = stage == Stage.READY || stage == Stage.DONE || stage == Stage.EMPTY
        compare.show(session.photo, session.canvas, session.overview, session.card?.scale ?: 1)
        pick.isEnabled = stage != Stage.LOADING
        main.isEnabled = stage == Stage.READY || session.repeatable || busy()
        main.setText(
            if (busy()) {
                R.string.cancel
            } else if (session.continuable) {
                R.string.resume
            } else if (stage == Stage.DONE) {
                R.string.again
            } else {
                R.string.upscale
            },
        )
        save.isEnabled = stage == Stage.DONE
        share.isEnabled = stage == Stage.DONE
        model.isEnabled = still
        threads.isEnabled = still
        status.accessibilityLiveRegion =
            if (busy()) View.ACCESSIBILITY_LIVE_REGION_NONE else View.ACCESSIBILITY_LIVE_REGION_POLITE
        status.text = session.problem ?: told(stage)
        progress.visibility = if (busy() || stage == Stage.LOADING) View.VISIBLE else View.INVISIBLE
        progress.isIndeterminate =
            stage == Stage.LOADING || (stage == Stage.RUNNING && session.figures == null)
        progress.progress = (progress.max * part(stage)).toInt()
        session.toShare?.let(::offer)
        if (busy()) {
            window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        } else {
            window.clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        }
    }

    private fun part(stage: Stage): Double =
        if (stage == Stage.SAVING) {
            session.saved
        } else {
            session.figures?.run { done.toDouble() / total } ?: 0.0
        }

    /** The line of words for a stage. */
    private fun told(stage: Stage): String {
        val (photo, figures) = session.photo to session.figures
        return when (stage) {
            Stage.EMPTY -> getString(R.string.told_empty)
            Stage.LOADING -> getString(R.string.told_loading)
            Stage.READY -> photo?.let(::sizes).orEmpty()
            Stage.RUNNING -> figures?.let(::soFar).orEmpty()
            Stage.DONE -> figures?.let(::inAll) ?: getString(R.string.told_done_before)
            Stage.SAVING -> getString(R.string.told_saving, (100 * session.saved).toInt())
        }
    }

    private fun sizes(photo: Photo): String {
        val (width, height) = factor() * photo.width to factor() * photo.height
        return getString(R.string.told_ready, photo.width, photo.height, width, height)
    }

    private fun soFar(figures: Figures): String {
        val left = clock(figures.etaSeconds)
        return getString(R.string.told_running, figures.done, figures.total, left, figures.numbers())
    }

    private fun inAll(figures: Figures): String =
        getString(R.string.told_done, clock(figures.totalSeconds), figures.numbers())

    private fun factor() = session.card?.scale ?: 1

    private fun Figures.numbers(): String {
        val count = threadsName(threads)
        return getString(R.string.numbers, medianMs, megapixelsPerSecond, count, residentMb)
    }

    private fun threadsName(count: Int): String =
        if (count == 0) {
            getString(R.string.threads_auto)
        } else {
            resources.getQuantityString(R.plurals.threads, count, count)
        }

    private fun pick() {
        val document = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE)
        document.setType("image/*")
        if (Build.VERSION.SDK_INT >= 33) ask(PICK, Api33.pickImage(), document) else ask(PICK, document)
    }

    /** Start the first of these that there is an app for. */
    private fun ask(
        code: Int,
        vararg intents: Intent,
    ) {
        for (intent in intents) {
            try {
                return startActivityForResult(intent, code)
            } catch (error: ActivityNotFoundException) {
                status.text = getString(R.string.error_no_app, error.message)
            }
        }
    }

    /** A picture that another app shares with this one. */
    private fun takeShared(intent: Intent) {
        // From the list of recent apps the same intent comes again, long after it was answered.
        val again = intent.flags and Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY != 0
        if (intent.action != Intent.ACTION_SEND || again) return
        val uri = if (Build.VERSION.SDK_INT >= 33) Api33.sharedUri(intent) else oldSharedUri(intent)
        if (uri != null) session.open(uri)
    }

    @Suppress("DEPRECATION")
    private fun oldSharedUri(intent: Intent): Uri? = intent.getParcelableExtra(Intent.EXTRA_STREAM)

    /** To the phone's pictures; before API 29 that takes a permission, so the person chooses a place. */
    private fun save(share: Boolean) {
        sharing = share
        val name = "edgesr_${System.currentTimeMillis()}.png"
        if (Build.VERSION.SDK_INT < 29) {
            val intent = Intent(Intent.ACTION_CREATE_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE)
            return ask(CREATE, intent.setType("image/png").putExtra(Intent.EXTRA_TITLE, name))
        }
        try {
            val folder = getString(R.string.app_name)
            if (Build.VERSION.SDK_INT >= 29) {
                write(Api29.pending(contentResolver, name, folder), pending = true)
            }
        } catch (error: IOException) {
            status.text = getString(R.string.error_storage, error.message)
        }
    }

    /** Write to [uri] in the background; what comes after needs no activity, for this one may be gone. */
    private fun write(
        uri: Uri,
        pending: Boolean,
    ) {
        val (resolver, context, session) = Triple(contentResolver, applicationContext, session)
        val share = sharing

        fun open(): OutputStream = resolver.openOutputStream(uri) ?: throw IOException("no $uri")
        session.save(::open) { whole ->
            if (!whole) {
                discard(resolver, uri, pending)
            } else {
                if (pending && Build.VERSION.SDK_INT >= 29) Api29.publish(resolver, uri)
                Toast.makeText(context, R.string.saved, Toast.LENGTH_LONG).show()
                if (share) session.toShare = uri
            }
        }
    }

    /** Leave no half a picture behind. */
    private fun discard(
        resolver: ContentResolver,
        uri: Uri,
        pending: Boolean,
    ) {
        if (pending) {
            resolver.delete(uri, null, null)
            return
        }
        try {
            DocumentsContract.deleteDocument(resolver, uri)
        } catch (error: FileNotFoundException) {
            Log.w(TAG, "half a picture stays, for its place lets nothing be deleted", error)
        }
    }

    private fun offer(uri: Uri) {
        session.toShare = null
        val intent = Intent(Intent.ACTION_SEND).setType("image/png").putExtra(Intent.EXTRA_STREAM, uri)
        intent.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        startActivity(Intent.createChooser(intent, getString(R.string.share)))
    }

    override fun onActivityResult(
        code: Int,
        result: Int,
        data: Intent?,
    ) {
        val uri = data?.data ?: return
        if (result != RESULT_OK) return
        if (code == PICK) session.open(uri)
        if (code == CREATE) write(uri, pending = false)
    }

    private companion object {
        const val PICK = 1
        const val CREATE = 2
        const val PLACE = "place"
        const val SHARING = "sharing"
        const val TAG = "edgesr"
    }
}
