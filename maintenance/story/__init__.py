"""A machine's story: what happened to it, from reading to log, each entry with what caused it."""

from maintenance.story.entries import Cause, Entry, Place, StoryPage
from maintenance.story.telling import tell_story

__all__ = ["Cause", "Entry", "Place", "StoryPage", "tell_story"]
