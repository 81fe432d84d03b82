package edgesr.demo

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Paint
import android.graphics.Rect
import android.graphics.RectF
import android.os.Build
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.util.AttributeSet
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import android.widget.SeekBar
import edgesr.core.Canvas
import edgesr.core.Viewport
import java.util.concurrent.Executors
import kotlin.math.abs
import kotlin.math.roundToInt

/**
 * Before and after at one place and one size, with a slider between them.
 *
 * Before is the photo enlarged by bicubic to the size of after, not the small photo. Both are first
 * drawn from bitmaps that are at hand (the photo, the overview), then from the pixels that the screen
 * shows, which are fetched in the background. Two fingers zoom, one moves the picture, or the slider if
 * it starts there; a double tap goes to one pixel per pixel and back.
 */
class CompareView(
    context: Context,
    attributes: AttributeSet?,
) : View(context, attributes) {
    private var photo: Photo? = null
    private var canvas: Canvas? = null
    private var overview: Overview? = null
    private var scale = 1
    private var viewport: Viewport? = null
    private var kept: DoubleArray? = null
    private var detail: Detail? = null
    private var sliding = false
    private var told: Pair<String, String?>? = null

    /** A look at what is on the screen is due; one is under way. */
    private var due = false
    private var fetching = false

    private val fetcher = Executors.newSingleThreadExecutor()
    private val main = Handler(Looper.getMainLooper())
    private val fetch = Runnable { fetch() }

    private val pixels = Paint(Paint.FILTER_BITMAP_FLAG)
    private val ink = painted(R.color.slider)
    private val ground = painted(R.color.slider_ground)
    private val words =
        painted(R.color.slider).apply { textSize = resources.getDimension(R.dimen.slider_text) }
    private val reach = resources.getDimension(R.dimen.slider_reach)
    private val radius = resources.getDimension(R.dimen.slider_radius)
    private val thickness = resources.getDimension(R.dimen.slider_line)
    private val space = resources.getDimension(R.dimen.slider_space)

    init {
        isFocusable = true
        describe()
    }

    /**
     * Show a photo and what is there of its enlargement, [scale] times as large. Same photo: the place
     * is kept.
     */
    fun show(
        photo: Photo?,
        canvas: Canvas?,
        overview: Overview?,
        scale: Int,
    ) {
        if (photo !== this.photo || scale != this.scale) {
            viewport = photo?.let { Viewport(scale * it.width, scale * it.height) }
            viewport?.resize(width, height)
            detail = null
        }
        if (canvas !== this.canvas) detail = null
        this.photo = photo
        this.canvas = canvas
        this.overview = overview
        this.scale = scale
        restore()
        refresh()
    }

    /** The place and the slider, for a bundle. */
    fun place(): DoubleArray? = viewport?.save() ?: kept

    /** Go to a saved place as soon as there is a picture to go to. */
    fun goTo(place: DoubleArray?) {
        kept = place
        restore()
    }

    private fun restore() {
        val (saved, view) = (kept ?: return) to (viewport ?: return)
        if (view.viewWidth == 0) return
        view.restore(saved)
        kept = null
        refresh()
    }

    override fun onSizeChanged(
        width: Int,
        height: Int,
        oldWidth: Int,
        oldHeight: Int,
    ) {
        super.onSizeChanged(width, height, oldWidth, oldHeight)
        viewport?.resize(width, height)
        restore()
        refresh()
    }

    override fun onDetachedFromWindow() {
        super.onDetachedFromWindow()
        main.removeCallbacks(fetch)
        fetcher.shutdown()
    }

    private fun refresh() {
        describe()
        invalidate()
        if (!due) {
            due = true
            main.postDelayed(fetch, SETTLE_MS)
        }
    }

    /** Get the pixels on the screen, in the background, unless they are here; one screen at a time. */
    private fun fetch() {
        due = false
        if (fetching) return refresh()
        val (photo, view) = (photo ?: return) to (viewport ?: return)
        if (view.viewWidth == 0 || fetcher.isShutdown) return
        val (canvas, scale) = canvas to scale
        val region = view.visible()
        val sight = Sight(region, view.step, minOf(canvas?.rowsDone ?: 0, region.bottom))
        if (sight == detail?.sight) return
        fetching = true
        fetcher.execute {
            val found = Detail.of(photo, canvas, scale, sight)
            main.post {
                fetching = false
                if (photo === this.photo && canvas === this.canvas && found != null) {
                    detail = found
                    invalidate()
                }
            }
        }
    }

    override fun onDraw(screen: android.graphics.Canvas) {
        super.onDraw(screen)
        val (photo, view) = (photo ?: return) to (viewport ?: return)
        val at = (view.split * width).toFloat()
        draw(screen, view, photo.preview, scale.toDouble() * photo.step, 0, 0)
        detail?.let { draw(screen, view, it.before, it.sight) }
        val (canvas, overview) = (canvas ?: return) to (overview ?: return)
        if (canvas.rowsDone == 0) return
        screen.save()
        screen.clipRect(at, 0f, width.toFloat(), (view.originY + view.zoom * canvas.rowsDone).toFloat())
        draw(screen, view, overview.bitmap, overview.step.toDouble(), 0, 0)
        detail?.let { part -> part.after?.let { draw(screen, view, it, part.sight) } }
        screen.restore()
        drawSlider(screen, at)
    }

    private fun draw(
        screen: android.graphics.Canvas,
        view: Viewport,
        bitmap: Bitmap,
        sight: Sight,
    ) = draw(screen, view, bitmap, sight.step.toDouble(), sight.region.left, sight.region.top)

    /**
     * A bitmap of whose pixels each stands for [step] x [step] SR pixels, the first at SR ([left],
     * [top]).
     */
    private fun draw(
        screen: android.graphics.Canvas,
        view: Viewport,
        bitmap: Bitmap,
        step: Double,
        left: Int,
        top: Int,
    ) {
        val size = view.zoom * step
        pixels.isFilterBitmap = size < SHARP
        val x = (view.originX + view.zoom * left).toFloat()
        val y = (view.originY + view.zoom * top).toFloat()
        val (width, height) = (size * bitmap.width).toFloat() to (size * bitmap.height).toFloat()
        val place = RectF(x, y, x + width, y + height)
        screen.drawBitmap(bitmap, null as Rect?, place, pixels)
    }

    /** White with a dark rim, and words on a dark ground: a picture may be of any colour. */
    private fun drawSlider(
        screen: android.graphics.Canvas,
        at: Float,
    ) {
        val (middle, half) = height / 2f to thickness / 2
        screen.drawRect(at - 2 * half, 0f, at + 2 * half, height.toFloat(), ground)
        screen.drawCircle(at, middle, radius + half, ground)
        screen.drawRect(at - half, 0f, at + half, height.toFloat(), ink)
        screen.drawCircle(at, middle, radius, ink)
        val (before, after) = context.getString(R.string.before) to context.getString(R.string.after)
        drawWord(screen, before, at - radius - 2 * space - words.measureText(before), middle)
        drawWord(screen, after, at + radius + 2 * space, middle)
    }

    /** A word that begins at [x], its height's middle at [middle]. */
    private fun drawWord(
        screen: android.graphics.Canvas,
        word: String,
        x: Float,
        middle: Float,
    ) {
        val base = middle - (words.ascent() + words.descent()) / 2
        val (top, bottom) = base + words.ascent() - space / 2 to base + words.descent() + space / 2
        screen.drawRect(x - space, top, x + words.measureText(word) + space, bottom, ground)
        screen.drawText(word, x, base, words)
    }

    private fun painted(colour: Int) =
        Paint(Paint.ANTI_ALIAS_FLAG).apply { color = context.getColor(colour) }

    private val zooming =
        ScaleGestureDetector(
            context,
            object : ScaleGestureDetector.SimpleOnScaleGestureListener() {
                override fun onScale(detector: ScaleGestureDetector): Boolean {
                    viewport?.pinch(
                        detector.scaleFactor.toDouble(),
                        detector.focusX.toDouble(),
                        detector.focusY.toDouble(),
                    )
                    refresh()
                    return true
                }
            },
        )

    private val moving =
        GestureDetector(
            context,
            object : GestureDetector.SimpleOnGestureListener() {
                override fun onDown(event: MotionEvent): Boolean = true

                override fun onScroll(
                    first: MotionEvent?,
                    now: MotionEvent,
                    distanceX: Float,
                    distanceY: Float,
                ): Boolean {
                    if (sliding) {
                        viewport?.slide(
                            now.x.toDouble(),
                        )
                    } else {
                        viewport?.pan(-distanceX.toDouble(), -distanceY.toDouble())
                    }
                    refresh()
                    return true
                }

                override fun onDoubleTap(event: MotionEvent): Boolean {
                    viewport?.toggle(event.x.toDouble(), event.y.toDouble())
                    refresh()
                    return true
                }

                override fun onSingleTapConfirmed(event: MotionEvent): Boolean = performClick()
            },
        )

    override fun onTouchEvent(event: MotionEvent): Boolean {
        val view = viewport ?: return super.onTouchEvent(event)
        if (event.actionMasked == MotionEvent.ACTION_DOWN) {
            sliding = canvas != null && abs(event.x - view.split * width) < reach
        }
        if (event.pointerCount > 1) sliding = false
        zooming.onTouchEvent(event)
        moving.onTouchEvent(event)
        return true
    }

    override fun performClick(): Boolean {
        super.performClick()
        return true
    }

    private fun describe() {
        val label =
            when {
                photo == null -> R.string.compare_empty
                canvas == null -> R.string.compare_before
                else -> R.string.compare
            }
        tell(
            context.getString(label),
            if (canvas == null) null else context.getString(R.string.compare_state, percent()),
        )
    }

    /** Say what is shown and where the slider is, once: each change is read out. */
    private fun tell(
        label: String,
        state: String?,
    ) {
        val told = label to state
        if (told == this.told) return
        this.told = told
        if (Build.VERSION.SDK_INT >= 30) {
            contentDescription = label
            Api30.describe(this, state)
        } else {
            contentDescription = if (state == null) label else "$label. $state"
        }
    }

    private fun percent() = (100 * (viewport?.split ?: 0.5)).roundToInt()

    /** To TalkBack it is a slider: a swipe up or down moves it by a tenth. */
    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        if (canvas == null) return
        info.className = SeekBar::class.java.name
        info.rangeInfo =
            AccessibilityNodeInfo.RangeInfo.obtain(
                AccessibilityNodeInfo.RangeInfo.RANGE_TYPE_PERCENT,
                0f,
                100f,
                percent().toFloat(),
            )
        info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_SCROLL_FORWARD)
        info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_SCROLL_BACKWARD)
    }

    override fun performAccessibilityAction(
        action: Int,
        arguments: Bundle?,
    ): Boolean {
        val view = viewport
        val tenth =
            when (action) {
                AccessibilityNodeInfo.ACTION_SCROLL_FORWARD -> 0.1
                AccessibilityNodeInfo.ACTION_SCROLL_BACKWARD -> -0.1
                else -> return super.performAccessibilityAction(action, arguments)
            }
        if (view == null) return false
        view.slide((view.split + tenth) * width)
        refresh()
        return true
    }

    private companion object {
        const val SETTLE_MS = 60L

        /** Screen pixels per bitmap pixel from which pixels are shown as squares. */
        const val SHARP = 4.0
    }
}
