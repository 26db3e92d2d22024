"""The demonstration: small guests that leave SIE and SVM in every way there is."""
