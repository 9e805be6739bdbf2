"""The package `course_lib.segmentation`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from .boundary import (boundary_f)
from .confusion import (Scores, Confusion)
from .losses import (ABSENT, AVERAGES, dice_loss, jaccard_loss, lovasz_loss)
from .masks import (PixelLabelBlock)
from .pictures import (image_iou)
from .unet import (UNet)

__all__ = ['ABSENT', 'AVERAGES', 'Confusion', 'PixelLabelBlock', 'Scores', 'UNet', 'boundary_f', 'dice_loss',
           'image_iou', 'jaccard_loss', 'lovasz_loss']
