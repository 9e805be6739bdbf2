"""The package `course_lib.presizing`: each room is a module of its own, this file only re-exports them."""
# Written by tools/build/faces.py from the rooms: do not edit.
from course_lib.extras import needs

with needs('vision'):
    from .decode import (OpenedPicture, open_picture, as_rgb, decode, FastImage)
    from .loader import (PresizeDL, FastImageBlock)
    from .maps import (UNIFORMS, rotate_map, zoom_map, apply_map, warp_map, Draw, random_draw, unit_map, largest_box,
                       corners_of, draw_map)
    from .quality import (psnr, ssim, detail, supersampled, augment_apart, augment_recipe, PathQuality, judge, compare)
    from .recipe import (pair_of, presize_pair, check_ranges, presize)
    from .samples import (Part, is_file, role_of, entries_of, parts_of, pictures_in, moved, changed)
    from .sampling import (places_of, shrinking, offsets_for, sample_batch, sample_one, resample, wide_float, nearest,
                           lighting_table, relit)
    from .targets import (Move, move_mask, move_points, MovedBoxes, move_boxes)
    from .transforms import (FastPresize, BatchPresize)

__all__ = ['BatchPresize', 'Draw', 'FastImage', 'FastImageBlock', 'FastPresize', 'Move', 'MovedBoxes',
           'OpenedPicture', 'Part', 'PathQuality', 'PresizeDL', 'UNIFORMS', 'apply_map', 'as_rgb', 'augment_apart',
           'augment_recipe', 'changed', 'check_ranges', 'compare', 'corners_of', 'decode', 'detail', 'draw_map',
           'entries_of', 'is_file', 'judge', 'largest_box', 'lighting_table', 'move_boxes', 'move_mask',
           'move_points', 'moved', 'nearest', 'offsets_for', 'open_picture', 'pair_of', 'parts_of', 'pictures_in',
           'places_of', 'presize', 'presize_pair', 'psnr', 'random_draw', 'relit', 'resample', 'role_of',
           'rotate_map', 'sample_batch', 'sample_one', 'shrinking', 'ssim', 'supersampled', 'unit_map', 'warp_map',
           'wide_float', 'zoom_map']
