"""The optional decoders of the extra `fast`: each is a module or function, or `None` if it is not installed."""

try:
    import cv2
except ImportError:
    cv2 = None
try:
    from imagecodecs import spng_decode
except ImportError:
    spng_decode = None
try:
    import simplejpeg
except ImportError:
    simplejpeg = None
