"""The report as a page: one HTML file that needs no server, no network and no other file.

- `gallery`: what of the images is shown, gathered while every form of a checkpoint runs;
- `figures`: the JSON of reports, matrices and sensitivities as the words and numbers that are printed;
- `drawing`: histogram, delegates and bars as SVG, `flow`: who reads what of whom;
- `document`: all of it in `page.html`, with `page.css` and `page.js` inside.
"""
