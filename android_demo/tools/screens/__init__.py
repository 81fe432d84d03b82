"""Drawings of the app's screens, made from its resources: no screenshots.

python -m android_demo.tools.screens            # draw them anew, unless a check finds a fault
python -m android_demo.tools.screens --check    # only the checks
python -m android_demo.tools.screens --picture  # first enlarge the picture in them anew

Android's own renderer of layouts is on no registry that this project builds from. So the part of
Android's layout rules that the app uses is done here, over the app's own layout files, strings, colours,
dimensions and themes, with the styles of Android's framework and the letter widths of its font. Every
screen is laid out on three phones, upright and turned, light and dark, and checked: text that does not
fit, views that overlap or leave the screen, targets below 48 dp, contrast below WCAG's 4.5:1, views
without a label for TalkBack.
"""
