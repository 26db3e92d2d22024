"""The s390x part: small guests that leave SIE in every way there is."""
