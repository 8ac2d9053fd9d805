"""The pages for people, driven in Chromium: by mouse, by keyboard alone, and read by axe."""
