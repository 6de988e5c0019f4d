"""The demo: one page in the browser on which people drop a picture and see what a network looks at."""
