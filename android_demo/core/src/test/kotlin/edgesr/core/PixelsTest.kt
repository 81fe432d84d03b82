package edgesr.core

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

class PixelsTest {
    @Test
    fun levelsBecomeTheFloatsOfPython() {
        val rows = golden("pixels.json", "units")
        assertEquals(256, rows.size)
        for (row in rows) assertEquals(row.int("bits"), Pixels.unit(row.int("level")).toRawBits())
    }

    @Test
    fun floatsBecomeTheLevelsOfPython() {
        val rows = golden("pixels.json", "levels")
        assertTrue("${rows.size} values", rows.size >= 700)
        for (row in rows) {
            val value = Float.fromBits(row.int("bits"))
            assertEquals(value.toString(), row.int("level"), Pixels.level(value))
        }
    }

    @Test
    fun colourKeepsItsPlaceAndAlphaIsOpaque() {
        val planes = FloatArray(3 * 2)
        Pixels.scatter(0x00_11_22_33, planes, 2, 1)
        assertEquals(0xFF_11_22_33.toInt(), Pixels.gather(planes, 2, 1))
        assertEquals(listOf(0x11, 0x22, 0x33), listOf(1, 3, 5).map { Pixels.level(planes[it]) })
    }
}
