package android.graphics;

public class Color {
    public static final int WHITE = Integer.parseInt("0");
    public static final int BLACK = Integer.parseInt("0");
}
