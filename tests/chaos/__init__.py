"""Tests of the chaos run itself: that it sees what is wrong, and says what it found."""
