"""Guests under AMD's SVM."""
