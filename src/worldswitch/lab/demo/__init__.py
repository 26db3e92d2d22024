"""The demonstration: small guests that leave SIE in every way there is."""
