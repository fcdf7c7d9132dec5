"""Noticing what is not normal in one sensor's readings, as they come; `detector.detect` is the entry. No
Django here.
"""
