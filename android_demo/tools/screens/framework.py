"""The part of Android's framework that the app's resources refer to, by Android's own names.

Held to the framework's compiled resources by `tests/android/test_screens.py`, on Debian's
android-framework-res (Android 10).
"""

VALUES = {
    "color/black": "#ff000000",
    "color/white": "#ffffffff",
    "color/transparent": "#00000000",
    "color/background_material_light": "@color/material_grey_50",
    "color/background_material_dark": "@color/material_grey_850",
    "color/material_grey_50": "#fffafafa",
    "color/material_grey_850": "#ff303030",
    "color/foreground_material_light": "@color/black",
    "color/foreground_material_dark": "@color/white",
    "dimen/disabled_alpha_material_light": "0.26",
    "dimen/disabled_alpha_material_dark": "0.3",
    "dimen/primary_content_alpha_material_light": "0.87",
    "dimen/primary_content_alpha_material_dark": "1",
    "dimen/secondary_content_alpha_material_light": "0.54",
    "dimen/secondary_content_alpha_material_dark": "0.7",
    "dimen/text_size_body_1_material": "14sp",
    "dimen/text_size_button_material": "14sp",
    "dimen/text_size_menu_material": "16sp",
    "dimen/button_inset_horizontal_material": "@dimen/control_inset_material",
    "dimen/control_inset_material": "4dp",
    "dimen/button_inset_vertical_material": "6dp",
    "dimen/button_padding_horizontal_material": "8dp",
    "dimen/button_padding_vertical_material": "@dimen/control_padding_material",
    "dimen/control_padding_material": "4dp",
    "dimen/progress_bar_height_material": "4dp",
    "string/font_family_body_1_material": "sans-serif",
    "string/font_family_button_material": "sans-serif-medium",
    "string/font_family_menu_material": "sans-serif",
}

STYLES: dict[str, tuple[str, dict[str, str]]] = {
    "Theme.Material.Light.NoActionBar": ("Theme.Material.Light", {}),
    "Theme.Material.NoActionBar": ("Theme.Material", {}),
    "Theme.Material.Light": (
        "",
        {
            "colorBackground": "@color/background_material_light",
            "colorForeground": "@color/foreground_material_light",
            "disabledAlpha": "@dimen/disabled_alpha_material_light",
            "primaryContentAlpha": "@dimen/primary_content_alpha_material_light",
            "secondaryContentAlpha": "@dimen/secondary_content_alpha_material_light",
            "textColorPrimary": "@color/text_color_primary",
            "textColorSecondary": "@color/text_color_secondary",
            "textAppearanceButton": "@style/TextAppearance.Material.Widget.Button",
            "colorControlNormal": "?attr/textColorSecondary",
            "colorControlActivated": "?attr/colorAccent",
        },
    ),
    "Theme.Material": (
        "",
        {
            "colorBackground": "@color/background_material_dark",
            "colorForeground": "@color/foreground_material_dark",
            "disabledAlpha": "@dimen/disabled_alpha_material_dark",
            "primaryContentAlpha": "@dimen/primary_content_alpha_material_dark",
            "secondaryContentAlpha": "@dimen/secondary_content_alpha_material_dark",
            "textColorPrimary": "@color/text_color_primary",
            "textColorSecondary": "@color/text_color_secondary",
            "textAppearanceButton": "@style/TextAppearance.Material.Widget.Button",
            "colorControlNormal": "?attr/textColorSecondary",
            "colorControlActivated": "?attr/colorAccent",
        },
    ),
    "Widget.Material.Button": (
        "",
        {"textAppearance": "?attr/textAppearanceButton", "minWidth": "88dp", "minHeight": "48dp"},
    ),
    "Widget.Material.Button.Borderless": ("Widget.Material.Button", {}),
    "Widget.Material.Button.Borderless.Colored": (
        "Widget.Material.Button.Borderless",
        {"textAppearance": "@style/TextAppearance.Material.Widget.Button.Borderless.Colored"},
    ),
    "Widget.Material.ButtonBar": ("", {}),
    "Widget.Material.ProgressBar.Horizontal": ("", {"minHeight": "16dp", "maxHeight": "16dp"}),
    "Widget.Material.TextView.SpinnerItem": (
        "",
        {
            "textAppearance": "@style/TextAppearance.Material.Widget.TextView.SpinnerItem",
            "paddingStart": "8dp",
            "paddingEnd": "8dp",
        },
    ),
    "TextAppearance.Material": (
        "",
        {
            "textSize": "@dimen/text_size_body_1_material",
            "textColor": "?attr/textColorPrimary",
            "fontFamily": "@string/font_family_body_1_material",
        },
    ),
    "TextAppearance.Material.Body1": ("TextAppearance.Material", {}),
    "TextAppearance.Material.Button": (
        "TextAppearance.Material",
        {
            "textSize": "@dimen/text_size_button_material",
            "textAllCaps": "true",
            "fontFamily": "@string/font_family_button_material",
        },
    ),
    "TextAppearance.Material.Widget.Button": ("TextAppearance.Material.Button", {}),
    "TextAppearance.Material.Widget.Button.Borderless.Colored": (
        "TextAppearance.Material.Widget.Button",
        {"textColor": "@color/btn_colored_borderless_text_material"},
    ),
    "TextAppearance.Material.Menu": (
        "TextAppearance.Material",
        {
            "textSize": "@dimen/text_size_menu_material",
            "fontFamily": "@string/font_family_menu_material",
        },
    ),
    "TextAppearance.Material.Widget.TextView.SpinnerItem": ("TextAppearance.Material.Menu", {}),
}
"""Name → parent and what the app needs of it. An empty parent: nothing above it is needed."""

_USABLE, _QUIET = (
    ("colorForeground", "primaryContentAlpha"),
    ("colorForeground", "secondaryContentAlpha"),
)
_UNUSABLE = ("colorForeground", "disabledAlpha")
STATES = {
    "text_color_primary": (_USABLE, _UNUSABLE),
    "text_color_secondary": (_QUIET, _UNUSABLE),
    "btn_colored_borderless_text_material": (
        ("colorAccent", ""),
        ("textColorSecondary", "disabledAlpha"),
    ),
}
"""Colour by state → attributes of the theme, colour and opacity: if enabled, if not."""

SPINNER_PADDING_END = 48.0
"""Of drawable/spinner_background_material, in dp: the room of its arrow."""
